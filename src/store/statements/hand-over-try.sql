update tries
set
  resume_hash = $4,
  handed_over_at = now(),
  heard_at = now(),
  timeout_seconds = $5,
  silence_seconds = $6,
  margin_seconds = $7
where build_id = $1 and number = $2 and lease_token = $3 and ended_at is null
returning number
