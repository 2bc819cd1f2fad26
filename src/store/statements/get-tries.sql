select
  build_id, number, manager, worker, slot, realm, phase, outcome, error, counted, started_at, ended_at
from tries
where build_id = any ($1::uuid[])
order by build_id, number
