-- Who is next: fair share over namespaces, labels, limits, one build of a tag at a time.

alter table builds
  -- What a worker must say of itself: KEY=VALUE, KEY=*, KEY!=VALUE or !KEY. `fits` has their meaning.
  add column worker_labels text[] not null default '{}',
  -- It does not run beside another build of its repository that has one of its tags.
  add column exclusive boolean not null default false,
  -- The same for builds that whoever takes one may take the next: they are one queue.
  add column demand uuid;

create function set_demand() returns trigger language plpgsql as $$
begin
  new.demand := md5(
    jsonb_build_array(
      new.kind, new.required_extensions, new.worker_labels, new.platform,
      case when new.exclusive then jsonb_build_array(new.registry, new.repository, new.tag_names) end
    )::text
  )::uuid;
  return new;
end
$$;

create trigger set_demand before insert on builds for each row execute function set_demand();

update builds set demand = md5(jsonb_build_array(kind, required_extensions, worker_labels, platform, null)::text)::uuid
where state in ('waiting', 'starting', 'running');

drop index builds_queue;
-- What may be claimed now: each queue in its order. A claim releases what its time has come for.
create index builds_ready on builds (namespace, demand, priority desc, ordinal)
where state = 'waiting' and not_before is null;
create index builds_held on builds (not_before) where state = 'waiting' and not_before is not null;
create index builds_waiting on builds (namespace, priority desc, ordinal) where state = 'waiting';
create index builds_taken on builds (namespace, repository) where state in ('starting', 'running');

-- A key is its namespace's own: nobody is answered with a build of somebody else's.
drop index builds_unfinished_by_dedupe_key;
create unique index builds_unfinished_by_dedupe_key on builds (namespace, dedupe_key)
where
  dedupe_key is not null
  and state in ('waiting', 'starting', 'running');

-- What is absent is as the manager's settings say. Rows without settings go once their time is behind the clock.
create table namespaces (
  name text primary key,
  weight double precision check (weight > 0),
  max_running integer check (max_running >= 0),
  max_waiting integer check (max_waiting >= 0),
  -- Where its next build starts on the clock of all: after each, a step of 1 / weight further.
  virtual_time double precision not null default 0
);

-- One row once a build has started: the clock of the fair share, which stands where the last build started.
create table fair_share (
  is_only boolean primary key default true check (is_only),
  virtual_time double precision not null
);

-- What managers start hosted workers with, so that each knows of all.
create table executors (
  manager text not null,
  name text not null,
  kinds text[] not null,
  extensions text[] not null,
  labels jsonb not null,
  -- For which alone it starts workers; null for all.
  namespaces text[],
  seen_at timestamptz not null default now(),
  primary key (manager, name)
);

-- Which base image a try pulled first: its worker has it.
alter table tries add column base_image text;
create index tries_by_base_image on tries (base_image, started_at) where base_image is not null;

-- Whether another build may wait in this namespace. Those that are submitted in one moment may pass together.
create function has_room(namespace text, default_max_waiting integer) returns boolean language sql stable as $$
  select coalesce(settings.max_waiting, default_max_waiting) is null
    or coalesce(settings.max_waiting, default_max_waiting) > (
      select count(*) from (
        select from builds
        where builds.namespace = has_room.namespace and state = 'waiting'
        limit coalesce(settings.max_waiting, default_max_waiting)
      ) as waiting
    )
  from (select) as one
  left join namespaces as settings on settings.name = has_room.namespace
$$;

-- Whether a label's value is one of those asked for. Both may name several, with | between them; a label of * is any.
create function label_is(label text, wanted text) returns boolean language sql immutable as $$
  select label = '*' or string_to_array(label, '|') && string_to_array(wanted, '|')
$$;

-- Whether who says this of itself may be given a build that asks for this. A label that begins with ! is only for builds that ask for it.
-- Who says nothing of platforms may be given any.
create function fits(
  kinds text[], extensions text[], labels jsonb,
  kind text, required_extensions text[], worker_labels text[], platform text
) returns boolean language plpgsql immutable as $$
declare
  selector text;
  key text;
  label text;
begin
  if not (kind = any (kinds) and required_extensions <@ extensions) then
    return false;
  end if;
  if labels = '{}' then
    -- Only what must not be is left to ask for.
    return not exists (select from unnest(worker_labels) as each where each not like '!%' and each not like '%!=%');
  end if;
  if platform is not null and not label_is(coalesce(labels ->> 'platform', labels ->> '!platform', '*'), platform) then
    return false;
  end if;
  foreach selector in array worker_labels loop
    key := rtrim(split_part(ltrim(selector, '!'), '=', 1), '!');
    label := coalesce(labels ->> key, labels ->> ('!' || key));
    if selector like '!%' then
      if label is not null then
        return false;
      end if;
    elsif selector like key || '!=%' then
      if label is not null and string_to_array(label, '|') && string_to_array(substr(selector, length(key) + 3), '|') then
        return false;
      end if;
    elsif label is null or (selector <> key || '=*' and not label_is(label, substr(selector, length(key) + 2))) then
      return false;
    end if;
  end loop;
  return not exists (
    select from jsonb_object_keys(labels) as own
    where
      own like '!%'
      and not (own = '!platform' and platform is not null)
      and not exists (select from unnest(worker_labels) as each where starts_with(each, substr(own, 2) || '='))
  );
end
$$;

-- Which of the slots gets a build: one whose worker built its repository last, else one whose worker pulled within a day the base image
-- that the repository's last build had, else the first. Each is {id, slot, realm}, and {kinds, extensions, labels} where they are not
-- those of the first. The index, from 0.
create function warmest(slots jsonb, build builds) returns integer language plpgsql stable as $$
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
    or fits(
      array(select jsonb_array_elements_text(given.slot -> 'kinds')),
      array(select jsonb_array_elements_text(given.slot -> 'extensions')),
      given.slot -> 'labels',
      build.kind, build.required_extensions, build.worker_labels, build.platform
    )
  order by known.started_at desc nulls last, given.at
  limit 1;
  return coalesce(warm, 0);
end
$$;

-- Takes the next build for whoever asks. One claim at a time, of all managers: what is looked at after the lock is as all before left it.
-- The namespace that is furthest behind goes first; in it the highest priority, then the oldest build.
create function claim_build(
  asking_kinds text[], asking_extensions text[], asking_labels jsonb, asking_namespaces text[],
  slots jsonb, asking_manager text, lease_seconds double precision, default_max_running integer
) returns table (build builds, number integer, lease_token text, realm text) language plpgsql as $$
#variable_conflict use_column
declare
  clock double precision;
  queue record;
  head uuid;
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
      select id into head
      from builds
      where state = 'waiting' and not_before is null and namespace = queue.namespace and demand = queue.demand
      order by namespace, demand, priority desc, ordinal
      limit 1;
      exit when not found;
      update builds
      set
        state = case when slots is null then 'starting' else 'running' end,
        tries_begun = tries_begun + 1,
        -- By the clock: claims wait for each other, and other tries end meanwhile.
        started_at = coalesce(started_at, clock_timestamp())
      where id = head and state = 'waiting'
      returning * into taken;
      -- It was cancelled meanwhile: the one behind it is the head now.
      continue when not found;

      insert into namespaces (name, virtual_time)
      values (queue.namespace, queue.starts_at + 1 / queue.weight)
      on conflict (name) do update set virtual_time = excluded.virtual_time;
      insert into fair_share (virtual_time) values (queue.starts_at)
      on conflict (is_only) do update set virtual_time = excluded.virtual_time;

      slot := slots -> warmest(slots, taken);
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
