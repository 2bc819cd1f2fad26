-- Builds, their tries, steps and logs. What must hold whatever statement changes a row is kept by the triggers below.

create table builds (
  id uuid primary key,
  -- The order in which they were submitted: age for the queue, the cursor of lists.
  ordinal bigint generated always as identity unique,
  kind text not null,
  spec jsonb not null,
  outputs jsonb,
  state text not null default 'waiting' check (
    state in ('waiting', 'starting', 'running', 'complete', 'error', 'internalerror', 'cancelled')
  ),
  phase text,
  progress jsonb,
  error jsonb,
  namespace text not null,
  repository text not null,
  registry text not null,
  tag_names text[] not null,
  submitted_by text not null,
  cancelled_by text,
  required_extensions text[] not null default '{}',
  max_tries integer not null default 3 check (max_tries > 0),
  tries_begun integer not null default 0,
  tries_counted integer not null default 0,
  not_before timestamptz,
  priority integer not null default 0,
  parent_id uuid references builds,
  platform text,
  dedupe_key text,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  ended_at timestamptz
);

create index builds_queue on builds (priority desc, ordinal) where state = 'waiting';
create index builds_by_state on builds (state, ordinal);
create index builds_by_repository on builds (repository, ordinal);
create index builds_by_namespace on builds (namespace, ordinal);
create index builds_by_parent on builds (parent_id) where parent_id is not null;
create unique index builds_unfinished_by_dedupe_key on builds (dedupe_key)
where
  dedupe_key is not null
  and state in ('waiting', 'starting', 'running');

-- Encrypted by the manager, apart from the builds so that no list carries them, and gone when the build has ended.
create table build_secrets (
  build_id uuid primary key references builds on delete cascade,
  material bytea not null
);

create table tries (
  build_id uuid not null references builds on delete cascade,
  number integer not null,
  manager text not null,
  worker text,
  slot integer,
  realm text,
  -- Kept when the try has ended, so that its holder can be told what became of it.
  lease_token text not null unique,
  lease_until timestamptz not null,
  phase text,
  outcome text check (outcome in ('complete', 'error', 'internalerror', 'cancelled', 'lost')),
  error jsonb,
  counted boolean not null default false,
  last_log_seq bigint not null default 0,
  started_at timestamptz not null default now(),
  ended_at timestamptz check ((ended_at is null) = (outcome is null)),
  primary key (build_id, number)
) with (fillfactor = 70);

-- At most one try of a build runs.
create unique index tries_running on tries (build_id) where ended_at is null;
create index tries_by_lease on tries (lease_until) where ended_at is null;

create table steps (
  build_id uuid not null,
  try integer not null,
  ordinal integer not null,
  name text not null,
  status text not null,
  started_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (build_id, try, ordinal),
  foreign key (build_id, try) references tries (build_id, number) on delete cascade
);

-- `records` is JSON, but kept as text: jsonb refuses the NUL that a build may print.
create table log_chunks (
  build_id uuid not null,
  try integer not null,
  first_seq bigint not null,
  last_seq bigint not null,
  records text not null,
  primary key (build_id, try, last_seq),
  foreign key (build_id, try) references tries (build_id, number) on delete cascade
);

-- Hashes of secrets that let a try do something elsewhere. They die with the try.
create table capabilities (
  hash bytea primary key,
  build_id uuid not null,
  try integer not null,
  scopes text[] not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  foreign key (build_id, try) references tries (build_id, number) on delete cascade
);

create index capabilities_by_try on capabilities (build_id, try);

-- The one door of a build's state: the arrows of src/contract/phases.ts, and no others.
create function check_build_state() returns trigger language plpgsql as $$
begin
  if not (
    case old.state
      when 'waiting' then new.state in ('starting', 'running', 'cancelled')
      when 'starting' then new.state in ('running', 'waiting', 'complete', 'error', 'internalerror', 'cancelled')
      when 'running' then new.state in ('waiting', 'complete', 'error', 'internalerror', 'cancelled')
      else false
    end
  ) then
    raise exception 'build % cannot go from % to %', old.id, old.state, new.state;
  end if;
  return new;
end
$$;

create trigger check_build_state before update of state on builds
for each row when (new.state <> old.state) execute function check_build_state();

-- A cancelled build has no running try, an ended one no secrets.
create function end_build() returns trigger language plpgsql as $$
begin
  update tries set ended_at = now(), outcome = 'cancelled'
  where build_id = new.id and ended_at is null and new.state = 'cancelled';
  delete from build_secrets where build_id = new.id;
  return null;
end
$$;

create trigger end_build after update of state on builds
for each row when (old.ended_at is null and new.ended_at is not null) execute function end_build();

-- A try that has ended can do nothing elsewhere, and none of its steps runs.
create function end_try() returns trigger language plpgsql as $$
begin
  update capabilities set revoked_at = now()
  where build_id = new.build_id and try = new.number and revoked_at is null;
  update steps set status = new.outcome, ended_at = now()
  where build_id = new.build_id and try = new.number and ended_at is null;
  return null;
end
$$;

create trigger end_try after update of ended_at on tries
for each row when (old.ended_at is null and new.ended_at is not null) execute function end_try();

-- Who waits is told: `queue` when a build may be claimed, `build` with its id when there is something new to show.
create function tell_build() returns trigger language plpgsql as $$
begin
  if new.state = 'waiting' then
    perform pg_notify('queue', '');
  end if;
  if tg_op = 'UPDATE' then
    perform pg_notify('build', new.id::text);
  end if;
  return null;
end
$$;

create trigger tell_build after insert or update of state, phase, progress on builds
for each row execute function tell_build();

create function tell_log() returns trigger language plpgsql as $$
begin
  perform pg_notify('log', new.build_id::text);
  return null;
end
$$;

create trigger tell_log after insert on log_chunks for each row execute function tell_log();
