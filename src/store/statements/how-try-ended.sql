select tries.outcome, builds.state
from tries
join builds on builds.id = tries.build_id
where tries.build_id = $1 and tries.number = $2 and tries.lease_token = $3
