with of_build as (
  update build_secrets set material = $5
  where build_id = case when $1::text = 'build' then $2::text::uuid end and material = $4
  returning 1
),
of_key as (
  update keys set material = $5
  where $1::text = 'key' and name = $2::text and material = $4
  returning 1
),
of_credential as (
  update credentials set password = $5
  where $1::text = 'credential' and namespace = $2::text and registry = $3 and password = $4
  returning 1
)
select from of_build
union all
select from of_key
union all
select from of_credential
