#!lua flags=allow-oom
-- reopen: a recovery begins the log anew, behind what is archived.
-- needs: base, engine_time, events, keys
--
-- Guarantees: the log holds the archived entry at its own position, so that the projector finds it, and after
--   it, and so above it, the event that opens the generation; meta has nothing of the time before. Safe to
--   send twice.
-- ARGV: generation that is being made, partition, archived position ("": nothing is archived), the event
--   there, its time in ms, number of limits, for each: name, value (see limits.lua)
-- Reply: {"ok"} or {"lost"}. Cost: linear in limits.
local meta = call('HMGET', KEYS[1], 'installation', 'partitions', 'recovering')
if meta[3] ~= ARGV[1] then
  return { 'lost' }
end
call('DEL', KEYS[1], log_key, prefix .. 'limits')
call('HDEL', KEYS[1], 'projected', 'projected_to')
begin_time_at(tonumber(ARGV[5])) -- of the last event that is archived
call('HSET', KEYS[1], 'tick', now, 'skew', string.format('%d', now_ms - clock))
call('HSET', KEYS[1], 'installation', meta[1], 'partitions', meta[2], 'recovering', ARGV[1],
  'state_version', '1')
if ARGV[3] ~= '' then
  call('XADD', log_key, ARGV[3], 'e', ARGV[4])
end
append('{"type":"log.opened","at":' .. now .. ',"installation":"' .. meta[1] .. '","generation":' .. ARGV[1]
  .. ',"partition":' .. ARGV[2] .. '}')
local limits = tonumber(ARGV[6])
if limits > 0 then
  call('HSET', prefix .. 'limits', unpack(ARGV, 7, 6 + 2 * limits))
  call('HSET', KEYS[1], 'control', '1')
end
save_events()
return { 'ok' }
