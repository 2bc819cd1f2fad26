-- A realm may have expired while the database was away, and its session live on: it is marked all the same.
with gone as (
  delete from workers where id = $1
  returning realm, kind
),
marked as (
  insert into realms (name, kind, expires_at, forgotten_at)
  select realm, kind, now() + make_interval(secs => $4), now() from gone
  on conflict (name) do update set forgotten_at = now(), expires_at = excluded.expires_at
),
undrained as (
  delete from drained_workers where id = $1
  returning id
),
held as (
  select builds.id, tries.number
  from builds
  join tries on tries.build_id = builds.id
  where tries.worker = $1 and tries.ended_at is null
  for update of builds, tries
),
ended as (
  update tries set ended_at = now(), outcome = 'lost', error = $5
  from held
  where tries.build_id = held.id and tries.number = held.number
),
given_back as (
  update builds set state = 'waiting', phase = null, not_before = null
  from held
  where builds.id = held.id
),
known as (
  select $1::text as id
  where exists (select from gone) or exists (select from undrained) or exists (select from held)
),
audited as (
  insert into audit (actor, address, action, object, detail)
  select
    $2, $3, 'worker.forget', id,
    jsonb_build_object('slots', (select count(*) from gone), 'builds', (select count(*) from held))
  from known
)
select
  pg_notify('worker', id),
  (select count(*) from gone) as slots,
  coalesce((select array_agg(id::text) from held), '{}') as builds
from known
