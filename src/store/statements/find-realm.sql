select * from realms where name = $1 and expires_at > now() and forgotten_at is null
