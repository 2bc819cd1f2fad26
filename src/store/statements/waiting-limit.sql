-- The limit that a namespace has reached; nothing where it has room.
select coalesce((select max_waiting from namespaces where name = $1), $2) as limit
where not has_room($1, $2)
