#!lua flags=allow-oom
-- heartbeat: a worker lives, keeps its leases and tells their progress.
-- needs: base, engine_time, events, flow_fields, flows, keys, meta, progress, rewind, statuses, timers
--
-- Guarantees: every lease named and still held is fresh again; the others are named in the reply. Progress
-- is logged where it differs from what was told last, and only for a task's current lease. The timer of an
-- attempt that waits for a store of blobs stands still, where its lease is the current one. Safe to send
-- twice; a timer then stands still for twice as long. Of a worker that was answered later than Redis
-- remembers, Redis went back in time: the partition is halted.
-- ARGV: generation, worker, what it serves (JSON), milliseconds to remember it, number of its last call of
--   finish_and_claim that was answered, number of reports, number of attempts that stand still, for each
--   report: lease, "<flow>:<task>", progress (JSON object), for each that stands still: lease,
--   "<flow>:<task>", ms since it was told last, then for each queue: queue, number of leases, leases...
-- Reply: {"ok", {queue, lease, ...: those that are gone}} or {"lost"}. Cost: linear in leases and reports.
local generation, worker, info, remember_ms, answered, report_count, standing_count = unpack(ARGV, 1, 7)
if current_generation ~= generation then
  return { 'lost' }
end
answered = tonumber(answered)
local last = answered > 0 and call('GET', call_key(worker))
if last and sub(last, 1, #SIGNED_OFF) == SIGNED_OFF then
  return { 'ok', {} } -- it was on its way when the worker handed everything back: nothing comes to life again
end
local last_number = last and tonumber(match(last, '^%d+'))
if last_number and last_number < answered then
  return halt_rewound(generation, 'Redis went back in time: it had answered call ' .. digits(answered)
    .. ' of worker ' .. worker .. ', and knows of none after ' .. digits(last_number), 0)
end
call('ZADD', workers_key(), now, worker)
call('SET', worker_key(worker), info, 'PX', remember_ms)

local at = 8
for _ = 1, tonumber(report_count) do
  local lease, progress = ARGV[at], ARGV[at + 2]
  local id, task = split_member(ARGV[at + 1])
  local flow, state, told = load_task(id, task, progress_field(task))
  local status, attempt, _, current = match(flow and state or NEVER, STATE)
  if status == RUNNING and current == lease then
    tell_progress(flow, task, attempt, lease, progress, told)
  end
  at = at + 3
end
for _ = 1, tonumber(standing_count) do
  local id, task = split_member(ARGV[at + 1])
  local flow, state = load_task(id, task, progress_field(task))
  local status, _, _, current = match(flow and state or NEVER, STATE)
  if status == RUNNING and current == ARGV[at] then
    call('ZADD', timers_key(), 'XX', 'INCR', ARGV[at + 2], attempt_timer(id, task))
  end
  at = at + 3
end
save_flows()
save_events()

local gone = {}
while at <= #ARGV do
  local work, last_lease = work_key(ARGV[at]), at + 1 + tonumber(ARGV[at + 1])
  for first = at + 2, last_lease, CHUNK do
    local step = math.min(last_lease, first + CHUNK - 1)
    local values = { work, 'workers', worker, 0, unpack(ARGV, first, step) }
    values[#values + 1] = 'JUSTID'
    local held = {}
    for _, lease in ipairs(call('XCLAIM', unpack(values))) do
      held[lease] = true
    end
    for index = first, step do
      if not held[ARGV[index]] then
        gone[#gone + 1] = ARGV[at]
        gone[#gone + 1] = ARGV[index]
      end
    end
  end
  at = last_lease + 1
end
return { 'ok', gone }
