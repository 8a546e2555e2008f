#!lua flags=allow-oom
-- prioritise: a flow's tasks have another priority from now on.
-- needs: base, flow_fields, flows, lanes, operation, places, ready, whole_flow
--
-- Guarantees: what is ready waits in the lanes of the new priority, together with the event; a flow that
--   waits for a place waits where its priority puts it.
-- ARGV: see operation.lua; its own: the priority
-- Reply: see operation.lua. Cost: linear in the flow's tasks and edges.
local generation, operation, id, by, version, restored, priority = unpack(ARGV, 1, 7)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 8)
if not flow then
  return reply
end
load_whole(flow)
local ready = find_ready(flow)
for task = 1, flow.count do
  local known, text = flow.tasks[task], digits(task)
  local moved = string.gsub(known.lane, '^([^:]*):[^:]*', '%1:' .. priority, 1)
  local is_ready = ready[task] and known.lease == NO_LEASE
  if moved ~= known.lane then
    if is_ready then
      pull(known.lane, flow, text)
    end
    known.lane = moved
    set(flow, lane_field(text), moved)
    if is_ready then
      push(moved, flow, text)
    end
  elseif is_ready and flow.unreleased and flow.unreleased[task] then
    push(moved, flow, text)
  end
end
if has_flag(flow, WITHOUT_PLACE) then
  queue_flow(flow, lane_of(flow.l1 or call('HGET', flow.key, 'l1')).workflow, priority)
end
append_operation(flow, 'flow.prioritised', ',"priority":' .. priority)
return conclude(flow, {})
