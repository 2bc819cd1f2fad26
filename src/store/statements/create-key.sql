insert into keys (name, kind, material, certificate) values ($1, $2, $3, $4)
on conflict (name) do nothing
