-- Why builds wait, each by itself; what is counted is counted up to $2. Workers that are alike are looked at once.
with waiting as (
  select builds.*, coalesce(namespaces.max_running, $3::integer) as max_running
  from builds
  left join namespaces on namespaces.name = builds.namespace
  where builds.id = any ($1::uuid[]) and builds.state = 'waiting'
),
sorts as materialized (
  select
    workers.kinds, workers.extensions, workers.labels,
    drained_workers.id is not null as drained,
    count(*) as slots, count(*) filter (where workers.state = 'ready') as ready
  from workers
  left join drained_workers on drained_workers.id = workers.id
  where workers.kind = 'enterprise'
  group by workers.kinds, workers.extensions, workers.labels, drained_workers.id is not null
),
recent as materialized (
  select namespace, greatest(extract(epoch from started_at - ready_at)::float8, 0) as seconds
  from builds
  where started_at is not null
  order by started_at desc
  limit $4
),
usual as (
  select
    namespace,
    count(*) as starts,
    percentile_cont(0.5) within group (order by seconds) as median,
    percentile_cont(0.9) within group (order by seconds) as p90
  from recent
  group by grouping sets ((namespace), ())
)
select
  waiting.id as build_id,
  least($2, urgent.count + older.count) as ahead,
  waiting.max_running,
  (
    select count(*) from (
      select from builds
      where builds.state in ('starting', 'running') and builds.namespace = waiting.namespace
      limit $2
    ) as running
  ) as running,
  case
    when waiting.exclusive then (
      select builds.id from builds
      where
        builds.state in ('starting', 'running')
        and builds.namespace = waiting.namespace
        and builds.repository = waiting.repository
        and builds.registry = waiting.registry
        and builds.tag_names && waiting.tag_names
      limit 1
    )
  end as blocked_by,
  workers.slots,
  workers.fitting,
  workers.ready,
  workers.drained,
  exists (select from executors) as has_executors,
  exists (select from credentials where credentials.namespace = waiting.namespace) as has_credentials,
  exists (
    select from executors
    where
      (executors.namespaces is null or waiting.namespace = any (executors.namespaces))
      and fits(
        executors.kinds, executors.extensions, executors.labels,
        waiting.kind, waiting.required_extensions, waiting.worker_labels, waiting.platform
      )
      and (
        'registry-auth' = any (executors.extensions)
        or not exists (select from credentials where credentials.namespace = waiting.namespace)
      )
  ) as has_executor,
  own.starts as own_starts, own.median as own_median, own.p90 as own_p90,
  farm.starts as farm_starts, farm.median as farm_median, farm.p90 as farm_p90
from waiting
cross join lateral (
  select count(*) from (
    select from builds
    where
      builds.state = 'waiting' and builds.namespace = waiting.namespace and builds.priority > waiting.priority
    limit $2
  ) as ahead
) as urgent
cross join lateral (
  select count(*) from (
    select from builds
    where
      builds.state = 'waiting' and builds.namespace = waiting.namespace
      and builds.priority = waiting.priority and builds.ordinal < waiting.ordinal
    limit $2
  ) as ahead
) as older
cross join lateral (
  select
    coalesce(sum(sorts.slots), 0)::integer as slots,
    coalesce(sum(sorts.slots) filter (where does.fit and not sorts.drained), 0)::integer as fitting,
    coalesce(sum(sorts.ready) filter (where does.fit and not sorts.drained), 0)::integer as ready,
    coalesce(sum(sorts.slots) filter (where does.fit and sorts.drained), 0)::integer as drained
  from sorts
  cross join lateral (
    select
      fits(
        sorts.kinds, sorts.extensions, sorts.labels,
        waiting.kind, waiting.required_extensions, waiting.worker_labels, waiting.platform
      )
      and (
        'registry-auth' = any (sorts.extensions)
        or not exists (select from credentials where credentials.namespace = waiting.namespace)
      ) as fit
  ) as does
) as workers
left join usual as own on own.namespace = waiting.namespace
left join usual as farm on farm.namespace is null
