with allocated as (
  insert into realms (name, kind, token_hash, build_id, expires_at, registered_as)
  values ($1, $2, $3, $4, now() + make_interval(secs => $5), $6)
  returning *
),
audited as (
  insert into audit (actor, address, action, object)
  select 'ticket:' || registered_as, $7, 'worker.register', registered_as
  from allocated
  where registered_as is not null
)
select * from allocated
