delete from executors where seen_at < now() - make_interval(secs => $1)
