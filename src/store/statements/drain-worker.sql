with known as (
  select $1::text as id
  where
    exists (select from workers where id = $1)
    or exists (select from tries where worker = $1)
    or exists (select from drained_workers where id = $1)
),
drained as (
  insert into drained_workers (id, drained_by)
  select id, $2 from known
  on conflict do nothing
  returning id
),
audited as (
  insert into audit (actor, address, action, object)
  select $2, $3, 'worker.drain', id from drained
)
select pg_notify('worker', id) from known
