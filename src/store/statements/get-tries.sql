select
  build_id, number, manager, worker, slot, realm, phase, outcome, error, counted, started_at, ended_at,
  handed_over_at + make_interval(secs => timeout_seconds) as deadline
from tries
where build_id = any ($1::uuid[])
order by build_id, number
