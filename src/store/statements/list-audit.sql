select id, at, actor, address, action, object, detail from audit
where
  ($1::text is null or actor = $1)
  -- `build` finds `build.cancel` too.
  and ($2::text is null or action = $2 or starts_with(action, $2 || '.'))
  and ($3::text is null or object = $3)
  and ($4::timestamptz is null or at >= $4)
  and ($5::timestamptz is null or at < $5)
  and ($6::bigint is null or id < $6)
order by id desc
limit $7
