select id from unnest($1::text[]) as blob (id)
where
  not exists (select from packages where packages.id = blob.id)
  and not exists (select from log_archives where log_archives.blob_id = blob.id)
