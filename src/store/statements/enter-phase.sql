with held as (
  select builds.id, tries.number
  from builds
  join tries on tries.build_id = builds.id
  where
    builds.id = $1 and tries.number = $2 and tries.lease_token = $3 and tries.ended_at is null
  for update of builds, tries
),
entered as (
  update tries set phase = $4, base_image = coalesce($5, base_image)
  from held
  where tries.build_id = held.id and tries.number = held.number
)
update builds set phase = $4
from held
where builds.id = held.id
returning builds.id
