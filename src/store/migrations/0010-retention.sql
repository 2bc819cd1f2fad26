-- What retention asks once a minute is answered by indexes and one sum, however many builds, packages and logs there are.

-- One row at most: the size of all packed logs together, but for those that are about to be deleted, in bytes.
create table log_archive_total (
  is_all boolean primary key default true check (is_all),
  size bigint not null
);

insert into log_archive_total (size)
select sum(size) from log_archives
where condemned_at is null
having count(*) > 0;

create function count_log_archives() returns trigger language plpgsql as $$
declare
  change bigint := 0;
begin
  if tg_op <> 'INSERT' then
    change := change - (select coalesce(sum(size), 0) from before where condemned_at is null);
  end if;
  if tg_op <> 'DELETE' then
    change := change + (select coalesce(sum(size), 0) from after where condemned_at is null);
  end if;
  if change <> 0 then
    insert into log_archive_total (size) values (change)
    on conflict (is_all) do update set size = log_archive_total.size + change;
  end if;
  return null;
end
$$;

create trigger count_added_log_archives after insert on log_archives
referencing new table as after
for each statement execute function count_log_archives();

create trigger count_changed_log_archives after update on log_archives
referencing old table as before new table as after
for each statement execute function count_log_archives();

create trigger count_removed_log_archives after delete on log_archives
referencing old table as before
for each statement execute function count_log_archives();

-- When the build of a package ended.
alter table packages add column build_ended_at timestamptz;

update packages set build_ended_at = builds.ended_at
from builds
where builds.id = packages.build_id and builds.ended_at is not null;

create index packages_pending on packages (created_at) where build_id is null and condemned_at is null;
create index packages_of_ended_builds on packages (build_ended_at)
where build_ended_at is not null and condemned_at is null;

create function end_package() returns trigger language plpgsql as $$
begin
  update packages set build_ended_at = new.ended_at where build_id = new.id;
  return null;
end
$$;

create trigger end_package after update of state on builds
for each row when (old.ended_at is null and new.ended_at is not null) execute function end_package();
