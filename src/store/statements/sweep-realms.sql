delete from realms where expires_at <= now()
returning name
