select * from packages where id = $1 and condemned_at is null
