with held as (
  select
    builds.id, tries.number, tries.worker_away or $3 as counted,
    (tries.worker_away or $3) and builds.tries_counted + 1 >= builds.max_tries as last
  from builds
  join tries on tries.build_id = builds.id
  where
    tries.ended_at is null
    and tries.lease_until < now()
    -- A worker that may come back has so much more time.
    and (tries.resume_hash is null or tries.lease_until < now() - make_interval(secs => $5))
    and pg_postmaster_start_time() < now() - make_interval(secs => $1)
  for update of builds, tries skip locked
),
ended as (
  update tries set ended_at = now(), outcome = 'lost', error = $2, counted = held.counted
  from held
  where tries.build_id = held.id and tries.number = held.number
)
update builds
set
  state = case when held.last then 'internalerror' else 'waiting' end,
  phase = null,
  progress = case when held.last then builds.progress end,
  error = case when held.last then $2 end,
  tries_counted = builds.tries_counted + held.counted::integer,
  not_before = case when $4 > 0 then now() + make_interval(secs => $4) end,
  ended_at = case when held.last then now() end
from held
where builds.id = held.id
returning builds.id as build_id, held.number as try, builds.state
