delete from capabilities where revoked_at is not null or expires_at <= now()
