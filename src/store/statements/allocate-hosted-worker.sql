-- The lock makes this wait for whoever is ending the try, so that no worker is started for one that has ended.
with held as (
  select build_id, number from tries
  where build_id = $1 and number = $2 and lease_token = $3 and ended_at is null
  for share
),
allocated as (
  insert into realms (name, kind, token_hash, build_id, expires_at)
  select $7, 'hosted', $8, build_id, now() + make_interval(secs => $9) from held
  on conflict do nothing
),
written as (
  insert into hosted_workers (id, executor, manager, realm, build_id, try, ends_at)
  select $4, $5, $6, $7, build_id, number, now() + make_interval(secs => $10) from held
  on conflict do nothing
)
select build_id from held
