-- A running attempt that is handed back: its task waits again for whoever is next, and nothing is counted.
-- needs: base, events, flow_fields, flows, ready, statuses
local function give_back(flow, task, attempt, lost, lease)
  set_state(flow, task, WAIT, attempt, lost, NO_LEASE)
  append('{"type":"task.returned' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"task":'
    .. task .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. '"}')
  push(call('HGET', flow.key, lane_field(task)), flow, task)
end
