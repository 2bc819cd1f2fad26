insert into builds (
  id, kind, spec, namespace, repository, registry, tag_names, submitted_by, required_extensions, max_tries,
  not_before, priority, parent_id, platform, dedupe_key
)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
on conflict do nothing
returning id
