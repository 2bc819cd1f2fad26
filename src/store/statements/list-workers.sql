select
  workers.realm, workers.id, workers.slot, workers.slots, workers.kind, workers.labels, workers.extensions, workers.kinds,
  workers.address, workers.manager, workers.connected_at, workers.last_seen_at, workers.build_id, workers.registered_as,
  case
    when drained_workers.id is null then workers.state
    when workers.build_id is null then 'drained'
    else 'draining'
  end as state
from workers
left join drained_workers on drained_workers.id = workers.id
where $1::text is null or workers.id = $1
order by workers.id, workers.slot, workers.realm
