#!lua flags=allow-oom
-- clear: removes keys of a partition that was closed.
-- needs: base, keys
--
-- Guarantees: nothing is removed of one that is worked on, or was recovered since. Safe to send twice.
-- ARGV: generation at which it was closed, "1": these are the last ones, names of keys without their prefix
--   (never "meta")
-- Reply: {"ok"} or {"kept"}: it is not closed. Cost: linear in keys (their memory is freed behind).
local generation, is_last = unpack(ARGV, 1, 2)
local meta = call('HMGET', meta_key(), 'generation', 'retired', 'recovering', 'halted_generation')
if meta[1] or meta[3] or not meta[2] or meta[4] ~= generation then
  return { 'kept' }
end
local keys = {}
for index = 3, #ARGV do
  keys[index - 2] = partition_key(ARGV[index])
end
if #keys > 0 then
  call('UNLINK', unpack(keys))
end
if is_last == '1' then
  call('HSET', meta_key(), 'retired', '2')
end
return { 'ok' }
