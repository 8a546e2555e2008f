#!lua flags=allow-oom
-- cancel: ends a flow; nothing of it starts any more, and what runs loses its lease.
-- needs: cancel_flow, operation
--
-- Guarantees: every task that is not final becomes Ignore together with the event, the flow ends; workers
--   hear of it with their next heartbeat, late outcomes are refused. Works when memory is short: it frees.
--   Tasks that clean up are spared, and the flow is ending until they are done; unless it is that already.
-- ARGV: see operation.lua; its own: the reason (JSON text)
-- Reply: see operation.lua. Cost: linear in the flow's tasks.
local generation, operation, id, by, version, restored, reason = unpack(ARGV, 1, 7)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 8)
if not flow then
  return reply
end
return conclude(flow, cancel_flow(flow, by, reason))
