update packages set condemned_at = coalesce(packages.condemned_at, now())
where
  packages.condemned_at is not null
  or (packages.build_id is null and packages.created_at < now() - make_interval(secs => $1))
  or exists (
    select from builds
    where builds.id = packages.build_id and builds.ended_at < now() - make_interval(secs => $2)
  )
returning id
