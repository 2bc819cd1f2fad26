select
  state,
  count(*) as count,
  case state when 'waiting' then extract(epoch from now() - min(created_at))::float8 end as oldest_seconds
from builds
group by state
