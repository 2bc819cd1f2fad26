select try, records from log_chunks
where build_id = $1 and (try, last_seq) > ($2, $3)
order by try, last_seq
limit $4
