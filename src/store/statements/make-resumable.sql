update tries set resume_hash = $4
where build_id = $1 and number = $2 and lease_token = $3 and ended_at is null
returning number
