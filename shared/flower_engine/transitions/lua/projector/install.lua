#!lua
-- install: makes a partition's meta and the first event of its log, once.
-- needs: base, engine_time, events, keys
--
-- Guarantees: of two installers one wins and both learn the winner. Safe to send twice.
-- ARGV: installation id, partition, partitions in all
-- Reply: {"ok" | "exists", installation id, generation, partitions}. Cost: constant.
local installation, partition, partitions = unpack(ARGV, 1, 3)
if call('EXISTS', meta_key()) == 1 then
  local meta = call('HMGET', meta_key(), 'installation', 'generation', 'partitions')
  return { 'exists', meta[1], meta[2] or '', meta[3] } -- a halted partition has no generation
end
call('HSET', meta_key(), 'installation', installation, 'generation', '1', 'partitions', partitions,
  'state_version', '1')
append('{"type":"log.opened","at":' .. now .. ',"installation":"' .. installation
  .. '","generation":1,"partition":' .. partition .. '}')
save_events()
return { 'ok', installation, '1', partitions }
