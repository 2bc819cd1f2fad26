select * from workers order by id, slot, realm
