select * from keys where kind = $1
order by created_at desc, name
