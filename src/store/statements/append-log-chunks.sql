-- Stores nothing of a try that has ended, or has a record of its chunk already. Tries are locked in the order of the leases' renewal.
with given as (
  select *
  from
    unnest($1::uuid[], $2::integer[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[]) as given (
      build_id, number, lease_token, first_seq, last_seq, records, last_message
    )
),
locked as (
  select given.*
  from given
  join tries using (build_id, number)
  where
    tries.lease_token = given.lease_token and tries.ended_at is null and tries.last_log_seq < given.first_seq
  order by tries.lease_token
  for no key update of tries
),
held as (
  update tries
  set
    last_log_seq = locked.last_seq,
    last_message_seq = greatest(tries.last_message_seq, locked.last_message),
    heard_at = now()
  from locked
  where tries.build_id = locked.build_id and tries.number = locked.number
  returning tries.build_id, tries.number, locked.first_seq, locked.last_seq, locked.records
)
insert into log_chunks (build_id, try, first_seq, last_seq, records)
select build_id, number, first_seq, last_seq, records from held
returning build_id, try, last_seq
