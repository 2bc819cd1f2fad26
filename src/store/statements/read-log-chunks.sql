-- Of each position given: a chunk's records, or where in a blob they are.
select given.place, chunk.*
from
  unnest($1::uuid[], $2::integer[], $3::bigint[]) with ordinality as given (build_id, after_try, after_seq, place)
cross join lateral (
  select try, last_seq, records, null as blob_id, null::bigint as start, null::integer as length
  from log_chunks
  where build_id = given.build_id and (try, last_seq) > (given.after_try, given.after_seq)
  union all
  select archive.try, chunk.last_seq, null, archive.blob_id, chunk.start, chunk.length
  from log_archives as archive
  cross join lateral jsonb_to_recordset(archive.chunks) as chunk (last_seq bigint, start bigint, length integer)
  where
    archive.build_id = given.build_id
    and archive.condemned_at is null
    and (archive.try, chunk.last_seq) > (given.after_try, given.after_seq)
  order by try, last_seq
  limit $4
) as chunk
order by given.place, chunk.try, chunk.last_seq
