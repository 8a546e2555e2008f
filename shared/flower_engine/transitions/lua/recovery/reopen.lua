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
local generation, partition, position, entry, at_ms, limit_count = unpack(ARGV, 1, 6)
local meta = call('HMGET', meta_key(), 'installation', 'partitions', 'recovering', 'in_all', 'gone',
  'retiring')
if meta[3] ~= generation then
  return { 'lost' }
end
call('DEL', meta_key(), log_key(), limits_key())
call('HDEL', meta_key(), 'projected', 'projected_to')
begin_time_at(tonumber(at_ms)) -- of the last event that is archived
call('HSET', meta_key(), 'tick', now, 'skew', string.format('%d', now_ms - clock))
call('HSET', meta_key(), 'installation', meta[1], 'partitions', meta[2], 'recovering', generation,
  'in_all', meta[4] or meta[2], 'state_version', '1')
for index, name in ipairs({ 'gone', 'retiring' }) do
  if meta[4 + index] then
    call('HSET', meta_key(), name, meta[4 + index])
  end
end
if position ~= '' then
  call('XADD', log_key(), position, 'e', entry)
end
append('{"type":"log.opened","at":' .. now .. ',"installation":"' .. meta[1]
  .. '","generation":' .. generation .. ',"partition":' .. partition .. '}')
if limit_count ~= '0' then
  call('HSET', limits_key(), unpack(ARGV, 7, 6 + 2 * limit_count))
  call('HSET', meta_key(), 'control', '1')
end
save_events()
return { 'ok' }
