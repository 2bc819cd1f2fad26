-- The lock of the worker makes this wait for whoever withdraws it.
with worker as (
  select build_id, try from hosted_workers where realm = $1 for update
),
held as (
  select builds.id, tries.number, tries.lease_token
  from worker
  join tries on tries.build_id = worker.build_id and tries.number = worker.try
  join builds on builds.id = tries.build_id
  where
    tries.ended_at is null
    and (builds.state = 'starting' or tries.realm = $1)
  for update of builds, tries
),
begun as (
  update tries
  set manager = $2, worker = $3, slot = $4, realm = $1, lease_until = now() + make_interval(secs => $5)
  from held
  where tries.build_id = held.id and tries.number = held.number
),
running as (
  update builds set state = 'running'
  from held
  where builds.id = held.id
  returning builds.*
)
select
  running.*,
  held.number,
  held.lease_token,
  build_secrets.material,
  credentials_of(running.namespace) as credentials
from running
join held on held.id = running.id
left join build_secrets on build_secrets.build_id = running.id
