-- Stores nothing when the try has ended, or has a record of this chunk already.
with held as (
  update tries
  set last_log_seq = $5, last_message_seq = greatest(last_message_seq, $7), heard_at = now()
  where
    build_id = $1 and number = $2 and lease_token = $3 and ended_at is null and last_log_seq < $4
  returning build_id, number
)
insert into log_chunks (build_id, try, first_seq, last_seq, records)
select build_id, number, $4, $5, $6 from held
returning last_seq
