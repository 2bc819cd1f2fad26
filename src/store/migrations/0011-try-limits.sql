-- What bounds a try, and how often a build may be lost: kept in rows, so that any manager can keep it.
alter table tries
  -- From here on its time runs; null while its worker has not been given the build.
  add column handed_over_at timestamptz,
  -- When its worker last said something of the build.
  add column heard_at timestamptz,
  add column timeout_seconds integer,
  add column silence_seconds integer,
  -- How much longer its worker has, which keeps the two itself; 0 where it does not.
  add column margin_seconds integer not null default 0;

alter table builds
  -- Tries that had been handed over, and were lost without being counted.
  add column tries_lost integer not null default 0;
