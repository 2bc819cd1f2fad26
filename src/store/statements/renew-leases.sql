-- Locked in the order in which log chunks lock them: neither then waits for the other in a circle.
with held as (
  select build_id, number from tries
  where lease_token = any ($2::text[]) and manager = $1 and ended_at is null
  order by lease_token
  for no key update
),
renewed as (
  update tries set lease_until = now() + make_interval(secs => $3)
  from held
  where tries.build_id = held.build_id and tries.number = held.number
  returning tries.lease_token
)
select lease_token, 'renewed' as fate from renewed
union all
select lease_token, 'cancelled' from tries where lease_token = any ($2::text[]) and outcome = 'cancelled'
