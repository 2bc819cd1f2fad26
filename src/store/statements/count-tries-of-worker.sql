select outcome, count(*) from tries where worker = $1 group by outcome
