-- Who did what to what. Written by the statement that does it, so that neither is there without the other.
create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  actor text not null,
  -- Where the actor's request came from; null where it came from no network.
  address text,
  -- KIND.VERB, as in `build.cancel`; `object` is the id of that kind.
  action text not null,
  object text not null,
  -- Free of secrets.
  detail jsonb not null default '{}'
);

create index audit_by_time on audit (at);
create index audit_by_actor on audit (actor, id);
create index audit_by_action on audit (action, id);
create index audit_by_object on audit (object, id);

create function keep_audit() returns trigger language plpgsql as $$
begin
  raise exception 'what was done stays as it was written';
end
$$;

create trigger keep_audit before update on audit for each statement execute function keep_audit();
