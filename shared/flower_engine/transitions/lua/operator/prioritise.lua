#!lua flags=allow-oom
-- prioritise: a flow's tasks have another priority from now on.
-- needs: held_flow, operation
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
prioritise_flow(flow, priority)
append_operation(flow, 'flow.prioritised', ',"priority":' .. priority)
return conclude(flow, {})
