select * from builds where id = any ($1::uuid[])
order by ordinal desc
