-- Builds that waited for a worker who can be given credentials may not need one any more.
with removed as (
  delete from credentials where namespace = $1 and registry = $2 returning namespace, registry, username
),
audited as (
  insert into audit (actor, address, action, object, detail)
  select $3, $4, 'credential.remove', namespace || '/' || registry, jsonb_build_object('username', username)
  from removed
)
select namespace, pg_notify('queue', '') from removed
