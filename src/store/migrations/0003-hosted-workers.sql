-- Workers that executors were asked to start. A row lives no longer than its realm.

create table hosted_workers (
  id text primary key,
  executor text not null,
  -- Whose executor it is.
  manager text not null,
  realm text not null unique references realms on delete cascade,
  build_id uuid not null,
  try integer not null,
  created_at timestamptz not null default now(),
  ends_at timestamptz not null,
  foreign key (build_id, try) references tries (build_id, number) on delete cascade
);

create index hosted_workers_by_manager on hosted_workers (manager);
create index hosted_workers_by_try on hosted_workers (build_id, try);
