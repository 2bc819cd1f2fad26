update realms set joined_at = now(), expires_at = now() + make_interval(secs => $2)
where name = $1 and joined_at is null and expires_at > now() and forgotten_at is null
returning name
