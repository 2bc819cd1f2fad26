-- A few at a time, so that nothing else waits long.
delete from audit
where id in (
  select id from audit as old
  where
    at < now() - make_interval(secs => $1)
    or id <= (select max(id) from audit) - $2::bigint
  order by id
  limit $3
  for update skip locked
)
returning id
