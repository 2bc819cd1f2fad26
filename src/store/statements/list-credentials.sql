select namespace, registry, username, set_by, set_at from credentials
where namespace = $1
order by registry
