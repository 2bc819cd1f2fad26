select
  (claimed.build).*,
  claimed.number,
  claimed.lease_token,
  claimed.realm,
  build_secrets.material,
  credentials_of((claimed.build).namespace) as credentials
from claim_build($1::text[], $2::text[], $3::jsonb, $4::text[], $5::jsonb, $6, $7, $8) as claimed
left join build_secrets on build_secrets.build_id = (claimed.build).id
