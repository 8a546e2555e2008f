#!lua flags=allow-oom
-- leave: a worker that holds nothing any more signs off.
-- needs: base, keys, meta
--
-- Guarantees: the worker is forgotten; a consumer that still holds leases stays, so that they lapse.
-- ARGV: generation, worker, queues...
-- Reply: {"ok"} or {"lost"}. Cost: linear in queues.
local generation, worker = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end
for index = 3, #ARGV do
  local work = work_key(ARGV[index])
  if call('EXISTS', work) == 1 and #call('XPENDING', work, 'workers', '-', '+', 1, worker) == 0 then
    call('XGROUP', 'DELCONSUMER', work, 'workers', worker)
  end
end
call('ZREM', workers_key(), worker)
call('HDEL', suspects_key(), worker)
call('UNLINK', worker_key(worker), call_key(worker))
return { 'ok' }
