select pattern from readable_repositories where namespace = $1
order by pattern collate "C"
