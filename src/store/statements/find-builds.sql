-- The range first, by the primary key: else the planner may walk all builds in the order of their age.
with found as materialized (
  select * from builds where id between $1::uuid and $2::uuid
)
select * from found
where
  ($3::text is null or state = $3)
  and ($4::text is null or repository = $4)
  and ($5::text is null or namespace = $5)
  and ($6::bigint is null or ordinal < $6)
order by ordinal desc
limit $7
