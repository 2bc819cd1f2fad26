update tries
set heard_at = now(), last_message_seq = greatest(last_message_seq, $4)
where build_id = $1 and number = $2 and lease_token = $3 and ended_at is null
returning number
