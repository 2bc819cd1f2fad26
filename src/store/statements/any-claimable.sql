select exists (select from builds where state = 'waiting' and not_before is null)
or exists (select from builds where state = 'waiting' and not_before <= now()) as any
