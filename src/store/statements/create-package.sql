insert into packages (id, size, sha256, media_type) values ($1, $2, $3, $4)
returning *
