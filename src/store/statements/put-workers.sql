insert into workers (
  realm, id, slot, slots, kind, state, labels, extensions, kinds, address, manager, connected_at, last_seen_at, build_id,
  registered_as
)
select distinct on (realm)
  realm, id, slot, slots, kind, state, labels, extensions, kinds, address, manager, "connectedAt", "lastSeenAt", "buildId",
  "registeredAs"
from
  jsonb_to_recordset($1) as given (
    realm text, id text, slot integer, slots integer, kind text, state text, labels jsonb, extensions text[],
    kinds text[], address text, manager text, "connectedAt" timestamptz, "lastSeenAt" timestamptz, "buildId" uuid,
    "registeredAs" text
  )
order by realm
on conflict (realm) do update
set
  id = excluded.id,
  slot = excluded.slot,
  slots = excluded.slots,
  kind = excluded.kind,
  state = excluded.state,
  labels = excluded.labels,
  extensions = excluded.extensions,
  kinds = excluded.kinds,
  address = excluded.address,
  manager = excluded.manager,
  connected_at = excluded.connected_at,
  last_seen_at = excluded.last_seen_at,
  build_id = excluded.build_id,
  registered_as = excluded.registered_as
