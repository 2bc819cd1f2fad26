select relname::text as name, pg_total_relation_size(oid) as bytes
from pg_class
where relkind = 'r' and relnamespace = current_schema()::regnamespace
