with held as (
  select builds.id, tries.number
  from builds
  join tries on tries.build_id = builds.id
  where
    builds.id = $1 and tries.number = $2 and tries.lease_token = $3 and tries.ended_at is null
  for update of builds, tries
),
completed as (
  update steps set status = 'complete', ended_at = now()
  from held
  where steps.build_id = held.id and steps.try = held.number and steps.ended_at is null and steps.ordinal <> $4
),
begun as (
  insert into steps (build_id, try, ordinal, name, status)
  select held.id, held.number, $4, $5, 'running' from held
  -- Told again after a lost connection, it runs again until what follows is told again, too.
  on conflict (build_id, try, ordinal) do update set name = excluded.name, status = 'running', ended_at = null
)
update builds set progress = $6
from held
where builds.id = held.id
returning builds.id
