#!lua flags=allow-oom
-- cancel: ends a flow; nothing of it starts any more, and what runs loses its lease.
-- include _common _flows _timers _boards _lanes _limits _suspects _whole _places _settle _cancelling _operate
--
-- Guarantees: every task that is not final becomes Ignore together with the event, the flow ends; workers
--   hear of it with their next heartbeat, late outcomes are refused. Works when memory is short: it frees.
-- ARGV: see _operate; then the reason (JSON text)
-- Reply: see _operate. Cost: linear in the flow's tasks.
local flow, reply = open_flow()
if not flow then
  return reply
end
return conclude(flow, cancel_flow(flow, by, ARGV[first]))
