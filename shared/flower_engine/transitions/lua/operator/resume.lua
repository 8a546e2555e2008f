#!lua
-- resume: a pause is over.
-- needs: flow_fields, flows, held_flow, operation
--
-- Guarantees: whatever waits for nothing else is in its lane again, together with the event. Refused where
--   the flow is not paused.
-- ARGV: see operation.lua
-- Reply: see operation.lua. Cost: linear in the flow's tasks and edges.
local generation, operation, id, by, version, restored = unpack(ARGV, 1, 6)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 7)
if not flow then
  return reply
elseif not has_flag(flow, PAUSED) then
  return refused(flow, 'not-paused')
end
append_operation(flow, 'flow.resumed', '')
resume_flow(flow)
return conclude(flow, {})
