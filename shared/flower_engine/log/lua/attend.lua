#!lua flags=allow-oom
-- attend: a worker begins to serve queues: their work streams and consumer groups exist from here on.
-- include _common
--
-- Guarantees: nothing but existence; safe to send twice. Works when memory is short: the worker that
-- starts then is the one that frees it.
-- ARGV: generation, queues...
-- Reply: {"ok"} or {"lost"}. Cost: linear in queues.
if call('HGET', KEYS[1], 'generation') ~= ARGV[1] then
  return { 'lost' }
end
for index = 2, #ARGV do
  local made = redis.pcall('XGROUP', 'CREATE', prefix .. 'work:' .. ARGV[index], 'workers', '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then
    return redis.error_reply(made.err)
  end
  call('SADD', prefix .. 'queues', ARGV[index])
end
return { 'ok' }
