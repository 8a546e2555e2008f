#!lua
-- ignore: an operator passes over waiting, retrying or suspended tasks; their dependents go on.
-- needs: base, flow_fields, flows, operation, places, ready, release, statuses, timers, whole_flow
--
-- Guarantees: each task leaves where it waits, becomes Ignore and frees its dependents together with its
--   event; the flow ends with the last one. Refused as a whole where a task is running or final.
-- ARGV: see operation.lua; its own: the reason (JSON text); behind the fields: tasks...
-- Reply: see operation.lua. Cost: linear in the tasks and their dependents (wide ones in steps, see
--   release.lua).
local generation, operation, id, by, version, restored, reason = unpack(ARGV, 1, 7)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 8)
if not flow then
  return reply
end
local tasks, chosen = {}, {}
for index = behind_fields(restored, 8), #ARGV do
  local task = ARGV[index]
  if not chosen[task] then
    local got = call('HMGET', flow.key, state_field(task), dependents_field(task), lane_field(task))
    if not got[3] then
      return refused(flow, 'unknown', task)
    end
    local status, attempt, lost, lease = match(got[1] or NEVER, STATE)
    if status == RUNNING then
      return refused(flow, 'ignore-running', task)
    elseif status == FINISH or status == IGNORE then
      return refused(flow, 'final', task, status == FINISH and 'finished' or 'ignored')
    end
    chosen[task] = true
    tasks[#tasks + 1] = { task = task, was = status, attempt = attempt, lost = lost, lease = lease,
      dependents = got[2], lane = got[3] }
  end
end
local is_counted = has_flag(flow, IS_COUNTED) or has_flag(flow, GAVE_PLACE_BACK)
local open
if is_counted then
  load_whole(flow)
  open = count_open(flow)
end
go_on(flow)
if is_counted then
  push_unreleased(flow)
  flow.unreleased = nil
  count_active(flow)
  for _, known in ipairs(tasks) do
    local task = tonumber(known.task)
    if known.was == WAIT and (open[task] == 0 or is_retrying(flow.tasks[task])) then
      change_active(flow, -1)
    end
  end
end
local ignored = {}
for index, known in ipairs(tasks) do -- all of them before any is released: they may depend on each other
  if known.was == WAIT then
    pull(known.lane, flow, known.task)
    drop_timer(retry_timer(flow.id, known.task))
  end
  set_state(flow, known.task, IGNORE, known.attempt, known.lost, NO_LEASE)
  flow.left = flow.left - 1
  flow.done = flow.done + 1
  append_operation(flow, 'task.ignored', ',"task":' .. known.task .. ',"was":' .. known.was
    .. ',"reason":' .. reason .. (flow.left == 0 and ',"ends":true' or ''))
  ignored[index] = known.task
end
for _, known in ipairs(tasks) do
  if known.dependents then
    release(flow, known.task, known.dependents)
  end
end
if flow.left > 0 then
  restart_flow_timer(flow)
end
return conclude(flow, ignored)
