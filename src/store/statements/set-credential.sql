with stored as (
  insert into credentials (namespace, registry, username, password, set_by)
  select $1, $2, $3, $4, $5
  where (select count(*) from credentials where namespace = $1 and registry <> $2) < $7
  on conflict (namespace, registry) do update
  set
    username = excluded.username,
    password = excluded.password,
    set_by = excluded.set_by,
    set_at = now()
  returning namespace, registry, username, set_by, set_at
),
audited as (
  insert into audit (actor, address, action, object, detail)
  select $5, $6, 'credential.set', namespace || '/' || registry, jsonb_build_object('username', username)
  from stored
)
select * from stored
