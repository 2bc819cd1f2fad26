update log_archives set condemned_at = now()
from builds
where
  builds.id = log_archives.build_id and log_archives.condemned_at is null
  and builds.ended_at < now() - make_interval(secs => $1)
