-- What a slot can do goes to a slot, also when an executor asks for it: a build may come after the slots were asked, and before the executors.

-- Whether a slot that says {kinds, extensions, labels} of itself may be given a build.
create function slot_fits(slot jsonb, build builds) returns boolean language sql stable as $$
  select
    fits(
      array(select jsonb_array_elements_text(slot -> 'kinds')),
      array(select jsonb_array_elements_text(slot -> 'extensions')),
      slot -> 'labels',
      build.kind, build.required_extensions, build.worker_labels, build.platform
    )
    and (
      slot -> 'extensions' ? 'registry-auth'
      or not exists (select from credentials where credentials.namespace = build.namespace)
    )
$$;

-- Which of the slots gets a build: one whose worker built its repository last, else one whose worker pulled within a day the base image
-- that the repository's last build had, else the first. Each is {id, slot, realm}, and {kinds, extensions, labels} where they are not
-- those of the first. The first may be null, a worker that is still to be started: it gets what fits no other. The index, from 0.
create or replace function warmest(slots jsonb, build builds) returns integer language plpgsql stable as $$
declare
  warm integer;
begin
  if coalesce(jsonb_array_length(slots), 0) < 2 then
    return 0;
  end if;
  with past as (
    select tries.worker, tries.base_image, tries.started_at
    from (select id from builds where repository = build.repository order by ordinal desc limit 20) as last
    join tries on tries.build_id = last.id
    where tries.phase in ('building', 'pushing') and tries.ended_at is not null
  ),
  holders as (
    select tries.worker
    from (select base_image from past where base_image is not null order by started_at desc limit 1) as base
    join tries on tries.base_image = base.base_image and tries.started_at > now() - interval '1 day'
    order by tries.started_at desc
    limit 100
  ),
  given as (
    select (ordinality - 1)::integer as at, slot
    from jsonb_array_elements(slots) with ordinality as each (slot, ordinality)
  )
  select given.at into warm
  from given
  join (
    select worker, started_at from past
    union all
    select worker, null from holders
  ) as known on known.worker = given.slot ->> 'id'
  where
    not given.slot ? 'kinds'
    or slot_fits(given.slot, build)
  order by known.started_at desc nulls last, given.at
  limit 1;
  if warm is null and slots -> 0 = 'null' then
    select (ordinality - 1)::integer into warm
    from jsonb_array_elements(slots) with ordinality as each (slot, ordinality)
    where slot ? 'kinds' and slot_fits(slot, build)
    order by ordinality
    limit 1;
  end if;
  return coalesce(warm, 0);
end
$$;

-- Takes the next build for whoever asks. One claim at a time, of all managers: what is looked at after the lock is as all before left it.
-- The namespace that is furthest behind goes first; in it the highest priority, then the oldest build.
create or replace function claim_build(
  asking_kinds text[], asking_extensions text[], asking_labels jsonb, asking_namespaces text[],
  slots jsonb, asking_manager text, lease_seconds double precision, default_max_running integer
) returns table (build builds, number integer, lease_token text, realm text) language plpgsql as $$
#variable_conflict use_column
declare
  clock double precision;
  queue record;
  head builds;
  taken builds;
  slot jsonb;
  full_namespaces text[] := '{}';
begin
  -- The letters "quay", and 1. No row is locked: a claim that finds nothing writes nothing.
  perform pg_advisory_xact_lock(1903518073, 1);
  select coalesce(max(virtual_time), 0) into clock from fair_share;

  if slots is not null and exists (select from drained_workers) then
    slots := (
      select jsonb_agg(ready order by ordinality)
      from jsonb_array_elements(slots) with ordinality as each (ready, ordinality)
      where not exists (select from drained_workers where id = ready ->> 'id')
    );
    if slots is null or slots -> 0 ? 'kinds' then
      return;
    end if;
  end if;

  update builds set not_before = null
  where id in (
    select id from builds where state = 'waiting' and not_before <= now() order by not_before limit 1000
  );

  for queue in
    with recursive heads as (
      (
        select namespace, demand, priority, ordinal, kind, required_extensions, worker_labels, platform,
          exclusive, registry, repository, tag_names
        from builds
        where state = 'waiting' and not_before is null
        order by namespace, demand, priority desc, ordinal
        limit 1
      )
      union all
      select next.*
      from heads,
        lateral (
          select namespace, demand, priority, ordinal, kind, required_extensions, worker_labels, platform,
            exclusive, registry, repository, tag_names
          from builds
          where
            state = 'waiting' and not_before is null
            and (builds.namespace, builds.demand) > (heads.namespace, heads.demand)
          order by namespace, demand, priority desc, ordinal
          limit 1
        ) as next
    )
    select
      heads.*,
      greatest(namespaces.virtual_time, clock) as starts_at,
      coalesce(namespaces.weight, 1) as weight,
      coalesce(namespaces.max_running, default_max_running) as max_running
    from heads
    left join namespaces on namespaces.name = heads.namespace
    where
      (asking_namespaces is null or heads.namespace = any (asking_namespaces))
      and fits(
        asking_kinds, asking_extensions, asking_labels,
        heads.kind, heads.required_extensions, heads.worker_labels, heads.platform
      )
      and (
        'registry-auth' = any (asking_extensions)
        or not exists (select from credentials where credentials.namespace = heads.namespace)
      )
    order by
      starts_at, coalesce(namespaces.virtual_time, 0), heads.namespace, heads.priority desc, heads.ordinal
  loop
    continue when queue.namespace = any (full_namespaces);
    if queue.max_running is not null and queue.max_running <= (
      select count(*) from builds
      where state in ('starting', 'running') and namespace = queue.namespace
    ) then
      full_namespaces := full_namespaces || queue.namespace;
      continue;
    end if;
    continue when queue.exclusive and exists (
      select from builds
      where
        state in ('starting', 'running')
        and namespace = queue.namespace
        and repository = queue.repository
        and registry = queue.registry
        and tag_names && queue.tag_names
    );

    loop
      select * into head
      from builds
      where state = 'waiting' and not_before is null and namespace = queue.namespace and demand = queue.demand
      order by namespace, demand, priority desc, ordinal
      limit 1;
      exit when not found;
      slot := nullif(slots -> warmest(slots, head), 'null');
      update builds
      set
        state = case when slot is null then 'starting' else 'running' end,
        tries_begun = tries_begun + 1,
        -- By the clock: claims wait for each other, and other tries end meanwhile.
        started_at = coalesce(started_at, clock_timestamp())
      where id = head.id and state = 'waiting'
      returning * into taken;
      -- It was cancelled meanwhile: the one behind it is the head now.
      continue when not found;

      insert into namespaces (name, virtual_time)
      values (queue.namespace, queue.starts_at + 1 / queue.weight)
      on conflict (name) do update set virtual_time = excluded.virtual_time;
      insert into fair_share (virtual_time) values (queue.starts_at)
      on conflict (is_only) do update set virtual_time = excluded.virtual_time;

      return query
      insert into tries (build_id, number, manager, worker, slot, realm, started_at, lease_token, lease_until)
      values (
        taken.id, taken.tries_begun, asking_manager, slot ->> 'id', (slot ->> 'slot')::integer, slot ->> 'realm',
        clock_timestamp(), gen_random_uuid()::text, clock_timestamp() + make_interval(secs => lease_seconds)
      )
      returning taken, number, lease_token, realm;
      return;
    end loop;
  end loop;
end
$$;
