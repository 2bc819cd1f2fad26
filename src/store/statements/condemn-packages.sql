with due as (
  select id from packages where condemned_at is not null
  union all (
    select id from packages
    where build_id is null and condemned_at is null and created_at < now() - make_interval(secs => $1)
    order by created_at
    limit $3
  )
  union all (
    select id from packages
    where condemned_at is null and build_ended_at < now() - make_interval(secs => $2)
    order by build_ended_at
    limit $3
  )
)
update packages set condemned_at = coalesce(condemned_at, now())
from due
where
  packages.id = due.id
  -- A build may have got it in this moment.
  and (packages.condemned_at is not null or packages.build_id is null or packages.build_ended_at is not null)
returning packages.id
