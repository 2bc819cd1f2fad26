with held as (
  select builds.id, tries.number
  from builds
  join tries on tries.build_id = builds.id
  where
    builds.id = $1 and tries.number = $2 and tries.lease_token = $3 and tries.ended_at is null
  for update of builds, tries
),
begun as (
  update tries
  set manager = $4, worker = $5, slot = $6, realm = $7, lease_until = now() + make_interval(secs => $8)
  from held
  where tries.build_id = held.id and tries.number = held.number
)
update builds set state = 'running'
from held
where builds.id = held.id
returning builds.id
