#!lua flags=allow-oom
-- retire: closes a partition that is empty.
-- needs: base, keys, positions
--
-- Guarantees: nothing happened in it since its log was read up to that position, so that what Postgres says
--   of that position is all there is; from here on every other transition answers "lost". One that gets new
--   flows (again) is left alone. Safe to send twice.
-- ARGV: generation, position of the last event of the log, as far as whoever closes it knows
-- Reply: {"ok"} | {"moved"}: the log has more | {"kept"}: it gets new flows | {"lost"}. Cost: constant.
local generation, position = unpack(ARGV, 1, 2)
local meta = call('HMGET', meta_key(), 'generation', 'retiring', 'retired')
if meta[3] and not meta[1] then
  return { 'ok' }
elseif meta[1] ~= generation then
  return { 'lost' }
elseif not meta[2] then
  return { 'kept' }
elseif last_position() ~= position then
  return { 'moved' }
end
call('HDEL', meta_key(), 'generation')
call('HSET', meta_key(), 'retired', '1', 'halted_generation', generation, 'halted_why', 'it was retired')
return { 'ok' }
