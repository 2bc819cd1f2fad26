-- Workers that get no builds, by their ids: also while they are away, and at whichever manager they come back.
create table drained_workers (
  id text primary key,
  drained_by text not null,
  drained_at timestamptz not null default now()
);

alter table realms
  -- By which ticket its worker registered.
  add column registered_as text,
  -- Its worker was forgotten: the session in it is ended, and nobody may join it any more.
  add column forgotten_at timestamptz;

alter table workers add column registered_as text;

-- What a worker has done, newest first.
create index tries_by_worker on tries (worker, started_at desc) where worker is not null;
