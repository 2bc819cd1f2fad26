-- A few at a time, so that nothing else waits long. A build goes after its logs, and after those that it made.
delete from builds
where id in (
  select id from builds as old
  where
    ended_at < now() - make_interval(secs => $1)
    and not exists (select from log_archives where build_id = old.id)
    and not exists (select from builds as child where child.parent_id = old.id)
  order by ended_at
  limit $2
  for update skip locked
)
returning id
