with removed as (
  delete from readable_repositories where namespace = $1 and pattern <> all ($2::text[]) returning pattern
),
added as (
  insert into readable_repositories (namespace, pattern)
  select $1, pattern from unnest($2::text[]) as pattern
  on conflict do nothing
  returning pattern
)
insert into audit (actor, address, action, object, detail)
select $3, $4, 'readable.set', $1, jsonb_build_object('repositories', to_jsonb($2::text[]))
where exists (select from removed) or exists (select from added)
