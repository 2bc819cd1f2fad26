delete from log_archives where blob_id = any($1::text[]) and condemned_at is not null
