-- Those that are too old, and the oldest of those that are too much together.
update log_archives set condemned_at = coalesce(condemned_at, now())
where
  condemned_at is not null
  or created_at < now() - make_interval(secs => $1)
  or blob_id in (
    select blob_id from (
      select blob_id, sum(size) over (order by created_at desc, blob_id) as size_up_to
      from log_archives
      where condemned_at is null
    ) as kept
    where size_up_to > $2
  )
returning blob_id
