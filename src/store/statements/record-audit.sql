insert into audit (actor, address, action, object, detail) values ($1, $2, $3, $4, $5::jsonb)
