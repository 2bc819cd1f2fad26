-- A worker that was started for this try is ended at its time: the try ends before.
with life as (
  select greatest(extract(epoch from ends_at - now()), 1)::float8 as seconds
  from hosted_workers
  where build_id = $1 and try = $2
)
update tries
set
  resume_hash = $4,
  handed_over_at = now(),
  heard_at = now(),
  timeout_seconds = least($5, (select ceil(greatest(seconds - $8::float8, seconds * 0.75))::integer from life)),
  silence_seconds = $6,
  margin_seconds = $7
where build_id = $1 and number = $2 and lease_token = $3 and ended_at is null
returning timeout_seconds
