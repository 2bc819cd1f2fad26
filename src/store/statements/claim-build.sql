with next as (
  select id from builds
  where
    state = 'waiting'
    -- As a case, of which the planner takes half the rows to fit: else, with a long queue, it would sort all of it for the first.
    and case
      when
        kind = any ($1::text[])
        and required_extensions <@ $2::text[]
        and (
          'registry-auth' = any ($2::text[])
          or not exists (select from credentials where credentials.namespace = builds.namespace)
        )
        and ($8::text[] is null or namespace = any ($8::text[]))
        then not_before is null or not_before <= now()
    end
  order by priority desc, ordinal
  limit 1
  for update skip locked
),
claimed as (
  update builds
  set
    state = case when $4::text is null then 'starting' else 'running' end,
    tries_begun = tries_begun + 1,
    not_before = null,
    started_at = coalesce(started_at, now())
  from next
  where builds.id = next.id
  returning builds.*
),
begun as (
  insert into tries (build_id, number, manager, worker, slot, realm, lease_token, lease_until)
  select id, tries_begun, $3, $4, $5, $6, gen_random_uuid()::text, now() + make_interval(secs => $7)
  from claimed
  returning build_id, number, lease_token
)
select
  claimed.*,
  begun.number,
  begun.lease_token,
  build_secrets.material,
  credentials_of(claimed.namespace) as credentials
from claimed
join begun on begun.build_id = claimed.id
left join build_secrets on build_secrets.build_id = claimed.id
