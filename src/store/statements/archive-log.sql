-- A try without a log has no blob. Nothing, when another manager was first: then the blob is nobody's.
with marked as (
  update tries set log_archived = true
  where build_id = $1 and number = $2 and not log_archived
  returning build_id, number
),
archived as (
  insert into log_archives (build_id, try, blob_id, size, chunks)
  select build_id, number, $3, $4, $5 from marked where $3::text is not null
),
emptied as (
  delete from log_chunks using marked
  where log_chunks.build_id = marked.build_id and log_chunks.try = marked.number
)
select build_id from marked
