-- The lock first: what the build is when nobody else can change it decides.
with held as (
  select id, state from builds where id = $1 for update
),
cancelled as (
  update builds set state = 'cancelled', cancelled_by = $2, phase = null, ended_at = now()
  from held
  where builds.id = held.id and held.state in ('waiting', 'starting', 'running')
  returning builds.id, builds.repository
),
audited as (
  insert into audit (actor, address, action, object, detail)
  select $2, $3, 'build.cancel', id::text, jsonb_build_object('repository', repository)
  from cancelled
)
select held.state, exists (select from cancelled) as cancelled
from held
