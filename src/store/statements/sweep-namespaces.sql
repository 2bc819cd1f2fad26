-- Without settings, and behind the clock: it is as if it had never been.
delete from namespaces
where
  weight is null and max_running is null and max_waiting is null
  and virtual_time <= (select virtual_time from fair_share)
