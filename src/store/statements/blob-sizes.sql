select
  (select coalesce(sum(size), 0)::bigint from packages) as packages,
  (select coalesce(sum(size), 0)::bigint from log_archives) as logs
