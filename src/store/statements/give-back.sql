-- One that its worker had, and that is not counted, is lost: that may happen so often.
with held as (
  select
    builds.id, tries.number,
    not $6 and tries.handed_over_at is not null as lost,
    case
      when $6 then builds.tries_counted + 1 >= builds.max_tries
      else tries.handed_over_at is not null and builds.tries_lost + 1 >= $8
    end as last
  from builds
  join tries on tries.build_id = builds.id
  where
    builds.id = $1 and tries.number = $2 and tries.lease_token = $3 and tries.ended_at is null
  for update of builds, tries
),
ended as (
  update tries set ended_at = now(), outcome = $4, error = $5, counted = $6
  from held
  where tries.build_id = held.id and tries.number = held.number
)
update builds
set
  state = case when held.last then 'internalerror' else 'waiting' end,
  phase = null,
  progress = case when held.last then builds.progress end,
  error = case when held.last then $5 end,
  tries_counted = builds.tries_counted + $6::integer,
  tries_lost = builds.tries_lost + held.lost::integer,
  not_before = case when not held.last and $7::float8 > 0 then now() + make_interval(secs => $7::float8) end,
  ended_at = case when held.last then now() end
from held
where builds.id = held.id
returning builds.state
