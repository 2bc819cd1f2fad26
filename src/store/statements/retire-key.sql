with retired as (
  delete from keys
  where
    name = $1
    and (
      active_since is null
      or exists (
        select from keys as newer where newer.kind = keys.kind and newer.active_since > keys.active_since
      )
    )
  returning name
),
audited as (
  insert into audit (actor, address, action, object)
  select $2, $3, 'key.retire', name from retired
)
select name from retired
