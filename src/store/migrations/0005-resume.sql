-- A try whose worker may come back: what the worker shows, how far it has told its log, and what losing it would mean.
alter table tries
  add column resume_hash bytea,
  add column last_message_seq bigint not null default 0,
  -- Set while the worker is away although its manager lives: then it is the worker that was lost.
  add column worker_away boolean not null default false;
