-- A worker without a name of its own has another one when it comes back.
delete from drained_workers
where
  id like 'unnamed-%'
  and drained_at < now() - make_interval(secs => $1)
  and not exists (select from workers where workers.id = drained_workers.id)
