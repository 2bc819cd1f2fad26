insert into keys (name, kind, material, certificate, active_since)
values ($1, $2, $3, $4, case when $5 then now() end)
on conflict (name) do nothing
