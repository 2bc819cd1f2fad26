with kept as (
  insert into executors (manager, name, kinds, extensions, labels, namespaces)
  select $1, given.name, given.kinds, given.extensions, given.labels, given.namespaces
  from
    jsonb_to_recordset($2) as given (
      name text, kinds text[], extensions text[], labels jsonb, namespaces text[]
    )
  on conflict (manager, name) do update
  set
    kinds = excluded.kinds,
    extensions = excluded.extensions,
    labels = excluded.labels,
    namespaces = excluded.namespaces,
    seen_at = now()
  returning name
)
delete from executors
where manager = $1 and name not in (select name from kept)
