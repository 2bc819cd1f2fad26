with activated as (
  update keys set active_since = now() where name = $1 and active_since is null returning name
),
audited as (
  insert into audit (actor, address, action, object)
  select $2, $3, 'key.activate', name from activated
)
select name from activated
