with changed as (
  update namespaces set weight = null, max_running = null, max_waiting = null
  where name = $1 and (weight is not null or max_running is not null or max_waiting is not null)
  returning name
),
audited as (
  insert into audit (actor, address, action, object)
  select $2, $3, 'namespace.reset', name from changed
)
select pg_notify('queue', '') from changed
