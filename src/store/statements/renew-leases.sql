with renewed as (
  update tries set lease_until = now() + make_interval(secs => $3)
  where lease_token = any ($2::text[]) and manager = $1 and ended_at is null
  returning lease_token
)
select lease_token, 'renewed' as fate from renewed
union all
select lease_token, 'cancelled' from tries where lease_token = any ($2::text[]) and outcome = 'cancelled'
