select
  hosted_workers.id, hosted_workers.executor, hosted_workers.build_id, hosted_workers.try, tries.lease_token,
  hosted_workers.ends_at > now()
  and realms.expires_at > now()
  and (
    tries.ended_at is null
    or (realms.joined_at is not null and tries.ended_at > now() - make_interval(secs => $2))
  ) as is_wanted,
  tries.ended_at is null and builds.state = 'starting' as is_awaited,
  tries.ended_at is null and tries.worker_away and tries.lease_until <= now() as is_away,
  tries.ended_at is not null as is_over
from hosted_workers
join realms on realms.name = hosted_workers.realm
join tries on tries.build_id = hosted_workers.build_id and tries.number = hosted_workers.try
join builds on builds.id = hosted_workers.build_id
where hosted_workers.manager = $1
