#!lua flags=allow-oom
-- pause: nothing of a flow starts any more; what runs may end.
-- needs: flow_fields, flows, held_flow, operation
--
-- Guarantees: its ready tasks leave their lanes together with the event, and none enters one until resume.
--   Retries fall due, and wait then. A paused flow stays as it is. Its children follow, see watcher/tree.lua.
-- ARGV: see operation.lua; its own: the reason (JSON text)
-- Reply: see operation.lua. Cost: linear in the flow's tasks.
local generation, operation, id, by, version, restored, reason = unpack(ARGV, 1, 7)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 8)
if not flow then
  return reply
elseif has_flag(flow, PAUSED) then
  return conclude(flow, {})
end
pause_flow(flow)
append_operation(flow, 'flow.paused', ',"reason":' .. reason)
return conclude(flow, {})
