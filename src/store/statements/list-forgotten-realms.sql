select name from realms where name = any ($1::text[]) and forgotten_at is not null
