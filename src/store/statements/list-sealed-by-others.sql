select 'build' as place, build_id::text as owner, '' as registry, material as sealed
from build_secrets
where substring(material from 2 for 4) <> $1
union all
select 'key', name, '', material
from keys
where substring(material from 2 for 4) <> $1
union all
select 'credential', namespace, registry, password
from credentials
where substring(password from 2 for 4) <> $1
limit $2
