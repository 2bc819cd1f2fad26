delete from workers where realm = any ($1::text[])
