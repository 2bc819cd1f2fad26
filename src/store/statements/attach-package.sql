update packages set build_id = $1
where id = $2 and build_id is null and condemned_at is null
returning id
