#!lua flags=allow-oom
-- seal: a recovery is over: work goes on with the new generation.
-- needs: base, keys
--
-- Guarantees: the generation holds once everything before this call was put back. Safe to send twice.
-- ARGV: generation that is being made, order of the next flow that is registered
-- Reply: {"ok"} or {"lost"}: another recovery took over. Cost: constant.
local generation, order = unpack(ARGV, 1, 2)
local meta = call('HMGET', meta_key(), 'recovering', 'generation')
if meta[2] == generation then
  return { 'ok' }
elseif meta[1] ~= generation then
  return { 'lost' }
end
call('HSET', meta_key(), 'generation', generation, 'order', order)
call('HDEL', meta_key(), 'recovering', 'halted_generation', 'halted_why')
return { 'ok' }
