select id from builds
where id = $1 or (namespace = $2 and dedupe_key = $3 and state in ('waiting', 'starting', 'running'))
