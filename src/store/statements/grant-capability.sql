-- The lock makes this wait for whoever is ending the try, so that nothing is granted to one that has ended.
with held as (
  select build_id, number from tries
  where build_id = $1 and number = $2 and lease_token = $3 and ended_at is null
  for share
)
insert into capabilities (hash, build_id, try, scopes, expires_at)
select $4, build_id, number, $5, now() + make_interval(secs => $6) from held
returning hash
