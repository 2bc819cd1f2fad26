select last_seq, records from log_chunks
where build_id = $1 and try = $2 and last_seq > $3
order by last_seq
limit $4
