select
  count(*) as held,
  count(*) filter (where lease_until < now()) as overdue,
  greatest(coalesce(extract(epoch from now() - min(lease_until)), 0), 0)::float8 as overdue_seconds
from tries
where ended_at is null
