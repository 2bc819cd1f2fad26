update tries set lease_until = now(), worker_away = $4
where build_id = $1 and number = $2 and lease_token = $3 and ended_at is null and resume_hash is not null
returning number
