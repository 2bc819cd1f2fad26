with old as (
  select id from builds
  where
    ended_at < now() - make_interval(secs => $1)
    and exists (select from log_archives where build_id = builds.id and condemned_at is null)
  order by ended_at
  limit $2
)
update log_archives set condemned_at = now()
from old
where log_archives.build_id = old.id and log_archives.condemned_at is null
