select * from builds
where
  ($1::text is null or state = $1)
  and ($2::text is null or repository = $2)
  and ($3::text is null or namespace = $3)
  and ($4::bigint is null or ordinal < $4)
order by ordinal desc
limit $5
