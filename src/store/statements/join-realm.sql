with joined as (
  update realms set joined_at = now(), expires_at = now() + make_interval(secs => $2)
  where name = $1 and joined_at is null and expires_at > now() and forgotten_at is null
  returning name, registered_as
),
audited as (
  insert into audit (actor, address, action, object)
  select 'ticket:' || registered_as, $4, 'worker.register', $3
  from joined
  where registered_as is not null
)
select name from joined
