-- Those that are too old, and the oldest of those that are too much together; the oldest first, a few at a time.
with oldest as (
  select blob_id, created_at, size from log_archives
  where condemned_at is null
  order by created_at, blob_id
  limit $3
),
counted as (
  select blob_id, created_at, sum(size) over (order by created_at, blob_id) - size as size_before
  from oldest
),
due as (
  select blob_id from log_archives where condemned_at is not null
  union all
  select blob_id from counted
  where
    created_at < now() - make_interval(secs => $1)
    or size_before < (select size from log_archive_total) - $2::bigint
)
update log_archives set condemned_at = coalesce(condemned_at, now())
from due
where log_archives.blob_id = due.blob_id
returning log_archives.blob_id
