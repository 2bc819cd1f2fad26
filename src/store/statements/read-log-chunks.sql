-- A chunk's records, or where in a blob they are.
select try, last_seq, records, null as blob_id, null::bigint as start, null::integer as length
from log_chunks
where build_id = $1 and (try, last_seq) > ($2, $3)
union all
select archive.try, chunk.last_seq, null, archive.blob_id, chunk.start, chunk.length
from log_archives as archive
cross join lateral jsonb_to_recordset(archive.chunks) as chunk (last_seq bigint, start bigint, length integer)
where archive.build_id = $1 and archive.condemned_at is null and (archive.try, chunk.last_seq) > ($2, $3)
order by try, last_seq
limit $4
