with held as (
  select
    builds.id, tries.number, tries.worker_away,
    case
      when tries.worker_away then builds.tries_counted + 1 >= builds.max_tries
      else builds.tries_lost + 1 >= $5
    end as last
  from builds
  join tries on tries.build_id = builds.id
  where
    builds.id = $1 and tries.number = $2 and tries.resume_hash = $3 and tries.ended_at is null
  for update of builds, tries
),
ended as (
  update tries set ended_at = now(), outcome = 'lost', error = $4, counted = held.worker_away
  from held
  where tries.build_id = held.id and tries.number = held.number
)
update builds
set
  state = case when held.last then 'internalerror' else 'waiting' end,
  phase = null,
  progress = case when held.last then builds.progress end,
  error = case when held.last then $4 end,
  tries_counted = builds.tries_counted + held.worker_away::integer,
  tries_lost = builds.tries_lost + (not held.worker_away)::integer,
  ended_at = case when held.last then now() end
from held
where builds.id = held.id
returning builds.id
