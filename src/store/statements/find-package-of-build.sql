select * from packages where build_id = $1 and condemned_at is null
order by created_at
limit 1
