-- The locks, of the worker and then of its build, as in begin-hosted-worker: either this comes first, or its worker.
with worker as (
  select id, realm, build_id, try from hosted_workers where id = $1 for update
),
held as (
  select worker.realm
  from worker
  join tries on tries.build_id = worker.build_id and tries.number = worker.try
  join builds on builds.id = tries.build_id
  where builds.state = 'starting' and tries.ended_at is null
  for update of builds, tries
)
delete from realms using held
where realms.name = held.realm
returning realms.name
