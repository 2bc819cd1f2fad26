update capabilities set revoked_at = now()
where build_id = $1 and try = $2 and revoked_at is null
