delete from workers
where manager = $1 or last_seen_at < now() - make_interval(secs => $2)
