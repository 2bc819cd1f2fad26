-- What is sealed says by which key after its first byte.
select substring(sealed from 2 for 4) as fingerprint, count(*) as count
from (
  select material as sealed from build_secrets
  union all
  select material from keys
  union all
  select password from credentials
) as every
group by fingerprint
order by fingerprint
