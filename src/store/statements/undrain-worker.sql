with known as (
  select $1::text as id
  where
    exists (select from workers where id = $1)
    or exists (select from tries where worker = $1)
    or exists (select from drained_workers where id = $1)
),
resumed as (
  delete from drained_workers where id = $1
  returning id
),
audited as (
  insert into audit (actor, address, action, object)
  select $2, $3, 'worker.resume', id from resumed
)
select pg_notify('worker', id) from known
