-- Setting the same again changes nothing. A higher limit may let a build start: who claims is told.
with changed as (
  insert into namespaces as was (name, weight, max_running, max_waiting)
  values ($1, $2, $3, $4)
  on conflict (name) do update
  set weight = excluded.weight, max_running = excluded.max_running, max_waiting = excluded.max_waiting
  where (was.weight, was.max_running, was.max_waiting)
    is distinct from (excluded.weight, excluded.max_running, excluded.max_waiting)
  returning *
),
audited as (
  insert into audit (actor, address, action, object, detail)
  select $5, $6, 'namespace.set', name,
    jsonb_build_object('weight', weight, 'max_running', max_running, 'max_waiting', max_waiting)
  from changed
)
select pg_notify('queue', '') from changed
