#!lua
-- install: makes a partition's meta and the first event of its log, once.
-- needs: base, engine_time, events
--
-- Guarantees: of two installers one wins and both learn the winner. Safe to send twice.
-- ARGV: "" (there is no generation yet), installation id, partition, partitions in all
-- Reply: {"ok" | "exists", installation id, generation, partitions}. Cost: constant.
if call('EXISTS', KEYS[1]) == 1 then
  local meta = call('HMGET', KEYS[1], 'installation', 'generation', 'partitions')
  return { 'exists', meta[1], meta[2] or '', meta[3] } -- a halted partition has no generation
end
call('HSET', KEYS[1], 'installation', ARGV[2], 'generation', '1', 'partitions', ARGV[4], 'state_version', '1')
append('{"type":"log.opened","at":' .. now .. ',"installation":"' .. ARGV[2]
  .. '","generation":1,"partition":' .. ARGV[3] .. '}')
save_events()
return { 'ok', ARGV[2], '1', ARGV[4] }
