update realms set expires_at = now() + make_interval(secs => $2)
where name = any ($1::text[]) and expires_at > now() and forgotten_at is null
