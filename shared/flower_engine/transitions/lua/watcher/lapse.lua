#!lua flags=allow-oom
-- lapse: tasks of lost workers wait again for a new attempt, or are suspended as poison.
-- needs: base, boards, commit, engine_time, flow_control, held_attempt, keys, lost_worker, meta, restamp
--
-- Guarantees: a lease without a heartbeat for the lease time ends, with its event, work entry and new
-- place together. After a stall (no tick for longer than the allowed gap: Redis stood still, its clock jumped
-- ahead, or no watcher ran) nothing lapses or times out for one lease time, so that living workers can send
-- their heartbeats first; and the time that nobody watched does not count for timeouts. After the clock went
-- back each lease begins anew. Safe to send twice.
-- ARGV: generation, lease time in ms, allowed gap between ticks in ms, lost workers that make poison,
--   most leases to handle, queues...
-- Reply: {"ok", {queue, member, worker, "lapsed" | "suspended", ...}}, {"stalled", ms still to wait} or
--   {"lost"}. Cost: linear in lapsed leases.
local generation, lease_ms, tick_gap_ms, max_lost, most = unpack(ARGV, 1, 5)
if current_generation ~= generation then
  return { 'lost' }
end
lease_ms, tick_gap_ms = tonumber(lease_ms), tonumber(tick_gap_ms)
max_lost, most = tonumber(max_lost), tonumber(most)
local silence = string.format('%g', lease_ms / 1000)
local before = call('HMGET', meta_key(), 'grace', 'held', 'restamp')
local grace, held = tonumber(before[1] or 0), tonumber(before[2] or 0)
local restamp = is_stepped_back and '' or before[3]
if now_ms - tick > tick_gap_ms then
  grace = now_ms + lease_ms
  held = held + (tick > 0 and now_ms - tick or 0)
end
call('HSET', meta_key(), 'tick', now, 'grace', string.format('%d', grace),
  'skew', string.format('%d', now_ms - clock),
  'horizon', string.format('%d', now_ms + tick_gap_ms), 'held', string.format('%d', held))
if restamp then
  restamp_from(restamp, lease_ms)
end
if grace > now_ms then
  return { 'stalled', string.format('%d', grace - now) }
end

-- Turns that the service of their priority has passed say nothing any more.
for index = 6, #ARGV do
  local turns = turns_key(ARGV[index])
  for priority = -20, 19 do
    local served = call('ZSCORE', turns, '@' .. priority)
    if served then
      call('ZREMRANGEBYSCORE', turns, string.format('%d', (priority + 20) * TURNS), '(' .. served)
    end
  end
end
if has_control and call('EXISTS', limits_key(), boards_key(), running_key()) == 0 then
  end_control()
end

local handled, gone = {}, {}

local function lapse(queue, lease, worker, member)
  local flow, task, attempt, lost, lane = take_from_worker(worker, queue, lease, member)
  if not flow then
    return
  end
  local what = lose(flow, task, lane, attempt, lost, lease, worker, max_lost, nil, silence)
  local n = #handled
  handled[n + 1], handled[n + 2], handled[n + 3], handled[n + 4] = queue, member, worker, what
end

for index = 6, #ARGV do
  local queue = ARGV[index]
  local work = work_key(queue)
  if most > 0 and call('EXISTS', work) == 1 then
    for _, pending in ipairs(call('XPENDING', work, 'workers', 'IDLE', lease_ms, '-', '+', most)) do
      local lease = pending[1]
      local entry = call('XRANGE', work, lease, lease)[1]
      if entry then
        lapse(queue, lease, pending[2], entry[2][2])
      end
      gone[#gone + 1] = { work, lease }
      most = most - 1
    end
  end
end
for _, entry in ipairs(gone) do
  call('XACK', entry[1], 'workers', entry[2])
  call('XDEL', entry[1], entry[2])
end
commit()
return { 'ok', handled }
