select * from steps where build_id = $1
order by try, ordinal
