delete from packages where id = any ($1::text[]) and condemned_at is not null
