select exists (
  select from (
    select distinct kinds, extensions, labels from workers where kind = 'enterprise'
  ) as worker
  where
    fits(worker.kinds, worker.extensions, worker.labels, $1, $2::text[], $3::text[], $4)
    and (
      'registry-auth' = any (worker.extensions)
      or not exists (select from credentials where credentials.namespace = $5)
    )
)
or exists (
  select from executors
  where
    (namespaces is null or $5 = any (namespaces))
    and fits(kinds, extensions, labels, $1, $2::text[], $3::text[], $4)
    and (
      'registry-auth' = any (extensions)
      or not exists (select from credentials where credentials.namespace = $5)
    )
) as can
