-- Who the builds of a namespace are at registries, what they may read at ours, and which key signs for it.

create table credentials (
  namespace text not null,
  -- host or host:port, in small letters.
  registry text not null,
  username text not null,
  -- Encrypted by the manager.
  password bytea not null,
  set_by text not null,
  set_at timestamptz not null default now(),
  primary key (namespace, registry)
);

-- Those of a namespace, as a claim of one of its builds carries them.
create function credentials_of(wanted text) returns json language sql stable as $$
  select coalesce(
    json_agg(
      json_build_object('registry', registry, 'username', username, 'password', encode(password, 'base64'))
      order by registry
    ),
    '[]'
  )
  from credentials
  where namespace = wanted
$$;

-- What the builds of a namespace may pull beside its own repositories.
create table readable_repositories (
  namespace text not null,
  -- A repository, NAMESPACE/* or *.
  pattern text not null,
  primary key (namespace, pattern)
);

-- Since when a key is used; null while it is only made known. The newest of them is the one that is. A key that is retired is deleted.
alter table keys add column active_since timestamptz;
update keys set active_since = created_at;
alter table keys drop column retired_at;
