delete from realms using hosted_workers
where realms.name = hosted_workers.realm and hosted_workers.id = $1
