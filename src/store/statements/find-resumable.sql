select outcome from tries
where build_id = $1 and number = $2 and resume_hash = $3
