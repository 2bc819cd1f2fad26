with held as (
  select builds.id, tries.number
  from builds
  join tries on tries.build_id = builds.id
  where
    builds.id = $1 and tries.number = $2 and tries.lease_token = $3 and tries.ended_at is null
  for update of builds, tries
),
given as (
  select ordinal, name, ordinal = $4 as runs
  from unnest(array[$4::integer] || $7::integer[], array[$5::text] || $8::text[]) as given (ordinal, name)
),
completed as (
  update steps set status = 'complete', ended_at = now()
  from held
  where
    steps.build_id = held.id and steps.try = held.number and steps.ended_at is null
    and steps.ordinal not in (select ordinal from given)
),
begun as (
  insert into steps (build_id, try, ordinal, name, status, ended_at)
  select
    held.id, held.number, given.ordinal, given.name,
    case when given.runs then 'running' else 'complete' end,
    case when not given.runs then now() end
  from held, given
  -- Told again after a lost connection, it runs again until what follows is told again, too.
  on conflict (build_id, try, ordinal) do update
  set name = excluded.name, status = excluded.status, ended_at = excluded.ended_at
)
update builds set progress = $6
from held
where builds.id = held.id
returning builds.id
