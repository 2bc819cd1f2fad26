select build_id, number as try from tries
where ended_at < now() - make_interval(secs => $1) and not log_archived
order by ended_at
limit $2
