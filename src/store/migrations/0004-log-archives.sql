-- The logs of tries that ended lie in the blob store: a blob a try, its chunks one after the other, each packed by gzip.
-- Deleting the row would lose sight of the blob: it is condemned first, and a build outlives its archives.
create table log_archives (
  build_id uuid not null,
  try integer not null,
  blob_id text not null unique,
  -- Of the blob.
  size bigint not null,
  -- `last_seq`, and `start` and `length` in the blob, of each chunk.
  chunks jsonb not null,
  created_at timestamptz not null default now(),
  -- Its blob is about to be deleted.
  condemned_at timestamptz,
  primary key (build_id, try),
  foreign key (build_id, try) references tries (build_id, number)
);

create index log_archives_by_age on log_archives (created_at) where condemned_at is null;
create index log_archives_condemned on log_archives (blob_id) where condemned_at is not null;
create index builds_by_end on builds (ended_at) where ended_at is not null;

alter table tries add column log_archived boolean not null default false;
create index tries_to_archive on tries (ended_at) where ended_at is not null and not log_archived;
