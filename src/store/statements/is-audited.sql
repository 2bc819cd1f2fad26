-- A schema from before the trail has none; a standby takes no writes.
select to_regclass('audit') is not null and not pg_is_in_recovery() as audited
