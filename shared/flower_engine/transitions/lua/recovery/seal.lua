#!lua flags=allow-oom
-- seal: a recovery is over: work goes on with the new generation.
-- needs: base
--
-- Guarantees: the generation holds once everything before this call was put back. Safe to send twice.
-- ARGV: generation that is being made, order of the next flow that is registered
-- Reply: {"ok"} or {"lost"}: another recovery took over. Cost: constant.
local meta = call('HMGET', KEYS[1], 'recovering', 'generation')
if meta[2] == ARGV[1] then
  return { 'ok' }
elseif meta[1] ~= ARGV[1] then
  return { 'lost' }
end
call('HSET', KEYS[1], 'generation', ARGV[1], 'order', ARGV[2])
call('HDEL', KEYS[1], 'recovering', 'halted_generation', 'halted_why')
return { 'ok' }
