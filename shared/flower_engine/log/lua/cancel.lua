#!lua flags=allow-oom
-- cancel: ends a flow; nothing of it starts any more, and what runs loses its lease.
-- include _common _flows _timers _lanes _suspects _whole _operate
--
-- Guarantees: every task that is not final becomes Ignore together with the event, the flow ends; workers
--   hear of it with their next heartbeat, late outcomes are refused. Works when memory is short: it frees.
-- ARGV: see _operate; then the reason (JSON text)
-- Reply: see _operate. Cost: linear in the flow's tasks.
local flow, reply = open_flow()
if not flow then
  return reply
end
load_whole(flow)
local lists, cut_off = { ['0'] = {}, ['1'] = {}, ['2'] = {} }, {}
for task = 1, flow.count do
  local known = flow.tasks[task]
  local list = lists[known.status]
  if list then
    list[#list + 1] = digits(task)
    cut_off[#cut_off + 1] = digits(task)
    if known.status == '1' then
      end_lease(flow, digits(task), known)
    elseif known.status == '0' then
      unplace(flow, digits(task), known)
    end
  end
end
append_operation(flow, 'flow.cancelled', ',"reason":' .. ARGV[first] .. listed('waiting', lists['0'])
  .. listed('running', lists['1']) .. listed('suspended', lists['2']))
flow.left = 0
return conclude(flow, cut_off)
