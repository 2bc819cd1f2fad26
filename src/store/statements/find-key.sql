select * from keys where name = $1
