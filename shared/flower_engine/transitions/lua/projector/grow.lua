#!lua flags=allow-oom
-- grow: tells a partition which others there are, and whether it takes new flows.
-- needs: base, keys
--
-- Guarantees: the number never falls, as each number was a partition's once. Safe to send twice, and to a
--   partition that is halted.
-- ARGV: partitions there ever were, numbers of those that nobody works on ("": none), "1": it gets no new
--   flows ("": it does)
-- Reply: {"ok"} or {"lost"}: there is no such partition. Cost: linear in what nobody works on.
local in_all, gone, retiring = unpack(ARGV, 1, 3)
local meta = call('HMGET', meta_key(), 'installation', 'in_all')
if not meta[1] then
  return { 'lost' }
end
if tonumber(meta[2] or 0) < tonumber(in_all) then
  call('HSET', meta_key(), 'in_all', in_all)
end
for name, value in pairs({ gone = gone, retiring = retiring }) do
  if value == '' then
    call('HDEL', meta_key(), name)
  else
    call('HSET', meta_key(), name, value)
  end
end
return { 'ok' }
