select lease_token, case when ended_at is null then 'held' else 'cancelled' end as fate
from tries
where lease_token = any ($2::text[]) and (outcome = 'cancelled' or (manager = $1 and ended_at is null))
