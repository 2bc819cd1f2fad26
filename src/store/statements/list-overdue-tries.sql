-- A worker that is away can say nothing: where the lease has run out, silence is none.
select
  tries.build_id, tries.number as try, tries.lease_token, tries.phase,
  builds.tries_counted, tries.timeout_seconds, tries.silence_seconds,
  tries.margin_seconds > 0 as worker_keeps_limits,
  tries.handed_over_at + make_interval(secs => tries.timeout_seconds + tries.margin_seconds) < now() as is_late
from tries
join builds on builds.id = tries.build_id
where
  tries.ended_at is null
  and (
    tries.handed_over_at + make_interval(secs => tries.timeout_seconds + tries.margin_seconds) < now()
    or (
      tries.lease_until > now()
      and tries.heard_at + make_interval(secs => tries.silence_seconds + tries.margin_seconds) < now()
    )
  )
  and pg_postmaster_start_time() < now() - make_interval(secs => $1)
order by tries.handed_over_at
limit $2
