-- All or nothing: a package that is not there, or that has its build, leaves no build.
with pending as (
  select id from packages
  where id = $17 and build_id is null and condemned_at is null
  for update
),
submitted as (
  insert into builds (
    id, kind, spec, namespace, repository, registry, tag_names, submitted_by, required_extensions, max_tries,
    not_before, priority, parent_id, platform, dedupe_key,
    worker_labels, exclusive, ready_at
  )
  select
    $1::uuid, $2, $3::jsonb, $4, $5, $6, $7::text[], $8, $9::text[], $10::integer,
    $11::timestamptz, $12::integer, $13::uuid, $14, $15,
    $19::text[], $20, greatest(now(), $11::timestamptz)
  where
    ($17::text is null or exists (select from pending))
    and has_room($4, $21)
  on conflict do nothing
  returning *
),
kept as (
  insert into build_secrets (build_id, material)
  select id, $16::bytea from submitted where $16::bytea is not null
),
attached as (
  update packages set build_id = submitted.id
  from submitted, pending
  where packages.id = pending.id
),
audited as (
  insert into audit (actor, address, action, object, detail)
  select submitted_by, $18, 'build.submit', id::text,
    jsonb_build_object('repository', repository, 'registry', registry, 'tag_names', tag_names)
  from submitted
)
select * from submitted
