insert into realms (name, kind, token_hash, build_id, expires_at, registered_as)
values ($1, $2, $3, $4, now() + make_interval(secs => $5), $6)
returning *
