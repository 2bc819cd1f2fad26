select
  tries.build_id, tries.number, tries.slot, tries.manager, tries.phase, tries.outcome, tries.started_at, tries.ended_at,
  builds.repository, builds.tag_names
from tries
join builds on builds.id = tries.build_id
where tries.worker = $1
order by tries.started_at desc, tries.build_id
limit $2
