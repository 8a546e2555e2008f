#!lua flags=allow-oom
-- hand_back: a worker whose process ends now hands back whatever it still holds, and signs off.
-- needs: base, commit, held_attempt, keys, meta, returned
--
-- Guarantees: each lease that the worker holds, known to it or not (the reply that granted it may be lost),
-- ends with its event, work entry and new place together, and counts against nobody. When none is left, the
-- worker is forgotten, and a call of it that comes later is answered "stale", so it cannot claim any more.
-- Safe to send twice.
-- ARGV: generation, worker, most leases to handle, queues...
-- Reply: {"ok", how many were handed back, "more" | "none"} or {"lost"}. Cost: linear in leases.
local generation, worker, most = unpack(ARGV, 1, 3)
if current_generation ~= generation then
  return { 'lost' }
end
most = tonumber(most)
local returned, handled, gone, is_more = 0, 0, {}, false

local function hand_back(queue, lease, member)
  local flow, task, attempt, lost = take_from_worker(worker, queue, lease, member)
  if not flow then
    return
  end
  give_back(flow, task, attempt, lost, lease)
  returned = returned + 1
end

call('SET', call_key(worker), SIGNED_OFF .. '   none', 'EX', 600)
for index = 4, #ARGV do
  local queue = ARGV[index]
  local work = work_key(queue)
  if handled >= most then
    is_more = true
  elseif call('EXISTS', work) == 1 then
    local pending = call('XPENDING', work, 'workers', '-', '+', most - handled, worker)
    for _, one in ipairs(pending) do
      local entry = call('XRANGE', work, one[1], one[1])[1]
      if entry then
        hand_back(queue, one[1], entry[2][2])
      end
      gone[#gone + 1] = { work, one[1] }
    end
    handled = handled + #pending
  end
end
for _, entry in ipairs(gone) do
  call('XACK', entry[1], 'workers', entry[2])
  call('XDEL', entry[1], entry[2])
end
commit()
is_more = is_more or handled >= most
if not is_more then
  for index = 4, #ARGV do
    local work = work_key(ARGV[index])
    if call('EXISTS', work) == 1 then
      call('XGROUP', 'DELCONSUMER', work, 'workers', worker)
    end
  end
  call('ZREM', workers_key(), worker)
  call('HDEL', suspects_key(), worker)
  call('UNLINK', worker_key(worker))
end
return { 'ok', returned, is_more and 'more' or 'none' }
