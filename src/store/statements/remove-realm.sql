delete from realms where name = $1
