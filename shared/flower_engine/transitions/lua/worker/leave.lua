#!lua flags=allow-oom
-- leave: a worker that holds nothing any more signs off.
-- needs: base, keys, meta
--
-- Guarantees: the worker is forgotten; a consumer that still holds leases stays, so that they lapse.
-- ARGV: generation, worker, queues...
-- Reply: {"ok"} or {"lost"}. Cost: linear in queues.
if current_generation ~= ARGV[1] then
  return { 'lost' }
end
local worker = ARGV[2]
for index = 3, #ARGV do
  local work = prefix .. 'work:' .. ARGV[index]
  if call('EXISTS', work) == 1 and #call('XPENDING', work, 'workers', '-', '+', 1, worker) == 0 then
    call('XGROUP', 'DELCONSUMER', work, 'workers', worker)
  end
end
call('ZREM', prefix .. 'workers', worker)
call('HDEL', prefix .. 'suspects', worker)
call('UNLINK', prefix .. 'worker:' .. worker, prefix .. 'call:' .. worker)
return { 'ok' }
