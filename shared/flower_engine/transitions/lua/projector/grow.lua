#!lua flags=allow-oom
-- grow: tells a partition how many there are in all.
-- needs: base, keys
--
-- Guarantees: the number never falls. Safe to send twice, and to a partition that is halted.
-- ARGV: partitions in all
-- Reply: {"ok"} or {"lost"}: there is no such partition. Cost: constant.
local in_all = unpack(ARGV, 1, 1)
local meta = call('HMGET', meta_key(), 'installation', 'in_all')
if not meta[1] then
  return { 'lost' }
end
if tonumber(meta[2] or 0) < tonumber(in_all) then
  call('HSET', meta_key(), 'in_all', in_all)
end
return { 'ok' }
