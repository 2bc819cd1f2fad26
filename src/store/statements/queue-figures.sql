with counted as (
  select
    namespace, count(*) as waiting,
    min(coalesce(not_before, created_at)) filter (where not_before is null or not_before <= now()) as oldest
  from builds
  where state = 'waiting'
  group by namespace
),
ranked as (
  select counted.*, row_number() over (order by waiting desc, namespace) as place from counted
)
select
  case when place <= $1 then namespace end as namespace,
  sum(waiting)::bigint as waiting,
  coalesce(extract(epoch from now() - min(oldest)), 0)::float8 as oldest_seconds
from ranked
group by 1
