insert into build_secrets (build_id, material) values ($1, $2)
