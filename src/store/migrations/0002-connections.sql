-- What managers share beside the builds: realms, workers, packages, keys.

create table realms (
  name text primary key,
  kind text not null check (kind in ('enterprise', 'hosted')),
  token_hash bytea,
  build_id uuid references builds on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  joined_at timestamptz
);

create index realms_by_expiry on realms (expires_at);
create index realms_by_build on realms (build_id) where build_id is not null;

create table workers (
  realm text primary key,
  id text not null,
  slot integer not null,
  slots integer not null,
  kind text not null check (kind in ('enterprise', 'hosted')),
  state text not null check (state in ('joining', 'ready', 'busy')),
  labels jsonb not null,
  extensions text[] not null,
  kinds text[] not null,
  address text not null,
  manager text not null,
  connected_at timestamptz not null,
  last_seen_at timestamptz not null,
  build_id uuid
);

create table packages (
  id text primary key,
  size bigint not null,
  sha256 text not null,
  media_type text not null,
  build_id uuid references builds on delete set null,
  created_at timestamptz not null default now(),
  -- Its blob is about to be deleted: no build may have it any more.
  condemned_at timestamptz
);

create index packages_by_build on packages (build_id) where build_id is not null;
create index packages_condemned on packages (id) where condemned_at is not null;

create table keys (
  name text primary key,
  kind text not null,
  material bytea not null,
  certificate text,
  created_at timestamptz not null default now(),
  retired_at timestamptz
);
