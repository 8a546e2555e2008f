#!lua flags=allow-oom
-- wipe: a recovery removes keys of what was lost.
-- needs: base, keys
--
-- Guarantees: nothing is removed unless this recovery is the newest one. Safe to send twice.
-- ARGV: generation that is being made, names of keys without their prefix (never "meta")
-- Reply: {"ok"} or {"lost"}: another recovery took over. Cost: linear in keys (their memory is freed behind).
local generation = unpack(ARGV, 1, 1)
if call('HGET', meta_key(), 'recovering') ~= generation then
  return { 'lost' }
end
call('HDEL', meta_key(), 'rewound') -- from here on the log is not whole: see runtime/redis_loss.py
local keys = {}
for index = 2, #ARGV do
  keys[index - 1] = partition_key(ARGV[index])
end
if #keys > 0 then
  call('UNLINK', unpack(keys))
end
return { 'ok' }
