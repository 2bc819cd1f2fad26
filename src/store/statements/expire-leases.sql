with held as (
  select
    builds.id, tries.number, tries.worker_away,
    case
      when tries.worker_away then builds.tries_counted + 1 >= builds.max_tries
      else builds.tries_lost + 1 >= $5
    end as last,
    case when tries.worker_away then $3::jsonb else $4::jsonb end as error
  from builds
  join tries on tries.build_id = builds.id
  where
    tries.ended_at is null
    and tries.lease_until < now()
    -- A worker that may come back has so much more time.
    and (tries.resume_hash is null or tries.lease_until < now() - make_interval(secs => $2))
    and pg_postmaster_start_time() < now() - make_interval(secs => $1)
  for update of builds, tries skip locked
),
ended as (
  update tries set ended_at = now(), outcome = 'lost', error = held.error, counted = held.worker_away
  from held
  where tries.build_id = held.id and tries.number = held.number
)
update builds
set
  state = case when held.last then 'internalerror' else 'waiting' end,
  phase = null,
  progress = case when held.last then builds.progress end,
  error = case when held.last then held.error end,
  tries_counted = builds.tries_counted + held.worker_away::integer,
  tries_lost = builds.tries_lost + (not held.worker_away)::integer,
  ended_at = case when held.last then now() end
from held
where builds.id = held.id
returning builds.id as build_id, held.number as try, builds.state
