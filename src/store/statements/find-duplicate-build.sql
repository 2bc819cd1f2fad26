select id from builds
where id = $1 or (dedupe_key = $2 and state in ('waiting', 'starting', 'running'))
