with held as (
  select builds.id, tries.number
  from builds
  join tries on tries.build_id = builds.id
  where
    builds.id = $1 and tries.number = $2 and tries.lease_token = $3 and tries.ended_at is null
  for update of builds, tries
),
ended as (
  update tries set ended_at = now(), outcome = $4, error = $5, counted = true
  from held
  where tries.build_id = held.id and tries.number = held.number
)
update builds
set state = $4, phase = null, error = $5, outputs = $6, tries_counted = tries_counted + 1, ended_at = now()
from held
where builds.id = held.id
returning builds.id
