update keys set retired_at = now() where name = $1 and retired_at is null
