#!lua flags=allow-oom
-- attend: a worker begins to serve queues: their work streams and consumer groups exist from here on.
-- needs: base, boards, keys, meta
--
-- Guarantees: nothing but existence, and turns as boards.lua has them where an older version had left others
-- (a hash); safe to send twice. Works when memory is short: the worker that
-- starts then is the one that frees it.
-- ARGV: generation, queues...
-- Reply: {"ok"} or {"lost"}. Cost: linear in queues.
local generation = unpack(ARGV, 1, 1)
if current_generation ~= generation then
  return { 'lost' }
end
for index = 2, #ARGV do
  local made = redis.pcall('XGROUP', 'CREATE', work_key(ARGV[index]), 'workers', '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
    return redis.error_reply(made.err)
  end
  call('SADD', queues_key(), ARGV[index])
  local turns, ready = turns_key(ARGV[index]), ready_key(ARGV[index], '')
  if call('TYPE', turns).ok == 'hash' then
    call('DEL', turns)
    for _, share in ipairs(call('ZRANGE', ready, 0, -1)) do
      call('ZADD', ready, string.format('%d', (match(share, ':([^:]*)') + 20) * TURNS), share)
    end
  end
end
return { 'ok' }
