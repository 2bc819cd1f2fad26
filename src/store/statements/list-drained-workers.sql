select id, drained_by, drained_at from drained_workers order by id
