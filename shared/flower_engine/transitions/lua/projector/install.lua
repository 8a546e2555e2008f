#!lua
-- install: makes a partition's meta and the first event of its log, once.
-- needs: base, engine_time, events, keys
--
-- Guarantees: of two installers one wins and both learn the winner. Safe to send twice.
-- ARGV: installation id, partition, partitions at first, partitions in all
-- Reply: {"ok" | "exists", installation id, generation, partitions at first, in all}. Cost: constant.
local installation, partition, partitions, in_all = unpack(ARGV, 1, 4)
if call('EXISTS', meta_key()) == 1 then
  local meta = call('HMGET', meta_key(), 'installation', 'generation', 'partitions', 'in_all')
  -- one that is halted has no generation
  return { 'exists', meta[1], meta[2] or '', meta[3], meta[4] or meta[3] }
end
call('HSET', meta_key(), 'installation', installation, 'generation', '1', 'partitions', partitions,
  'in_all', in_all, 'state_version', '1')
append('{"type":"log.opened","at":' .. now .. ',"installation":"' .. installation
  .. '","generation":1,"partition":' .. partition .. '}')
save_events()
return { 'ok', installation, '1', partitions, in_all }
