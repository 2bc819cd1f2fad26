-- The one of this name, or those that come after another by name.
with counted as (
  select namespace as name, count(*) as waiting, 0::bigint as running
  from builds
  where state = 'waiting' and ($1::text is null or namespace = $1)
  group by namespace
  union all
  select namespace, 0, count(*)
  from builds
  where state in ('starting', 'running') and ($1::text is null or namespace = $1)
  group by namespace
),
counts as (
  select name, sum(waiting)::bigint as waiting, sum(running)::bigint as running from counted group by name
),
set_up as (
  select name, weight, max_running, max_waiting from namespaces
  where
    ($1::text is null or name = $1)
    and (weight is not null or max_running is not null or max_waiting is not null)
)
select
  name, weight, max_running, max_waiting,
  coalesce(running, 0) as running, coalesce(waiting, 0) as waiting
from set_up
full join counts using (name)
where $2::text is null or name > $2
order by name
limit $3
