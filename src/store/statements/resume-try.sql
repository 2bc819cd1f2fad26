-- A new lease token: whoever held the try before, and does not know yet, can do nothing more for it.
with resumed as (
  update tries
  set manager = $5, lease_token = gen_random_uuid()::text, lease_until = now(), worker_away = false,
    heard_at = now()
  where build_id = $1 and number = $2 and resume_hash = $3 and realm = $4 and ended_at is null
  returning *
)
select
  builds.*,
  resumed.number,
  resumed.lease_token,
  resumed.phase as try_phase,
  resumed.last_log_seq,
  resumed.last_message_seq,
  (
    select coalesce(sum(octet_length(log_chunks.records)), 0)::bigint
    from log_chunks
    where log_chunks.build_id = resumed.build_id and log_chunks.try = resumed.number
  ) as log_bytes,
  build_secrets.material,
  credentials_of(builds.namespace) as credentials
from resumed
join builds on builds.id = resumed.build_id
left join build_secrets on build_secrets.build_id = resumed.build_id
