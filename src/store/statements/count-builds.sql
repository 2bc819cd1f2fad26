-- Both by the index of states alone: the rows themselves are large.
with oldest as (
  select extract(epoch from now() - created_at)::float8 as seconds
  from builds
  where state = 'waiting'
  order by ordinal
  limit 1
)
select
  state,
  count(*) as count,
  case state when 'waiting' then (select seconds from oldest) end as oldest_seconds
from builds
group by state
