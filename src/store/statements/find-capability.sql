select build_id, try, scopes, expires_at from capabilities
where hash = $1 and revoked_at is null and expires_at > now()
