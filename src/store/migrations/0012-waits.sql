-- How long builds usually wait: from when one might have begun to when it did.
alter table builds add column ready_at timestamptz not null default now();
update builds set ready_at = created_at;

create index builds_by_start on builds (started_at desc) include (namespace, ready_at) where started_at is not null;
