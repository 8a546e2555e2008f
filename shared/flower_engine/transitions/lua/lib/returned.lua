-- A running attempt that is handed back: its task waits again for whoever is next, and nothing is counted.
-- needs: base, events, flows, ready
local function give_back(flow, task, attempt, lost, lease)
  set_state(flow, task, '0', attempt, lost, '-')
  append('{"type":"task.returned' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"task":' .. task
    .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. '"}')
  push(call('HGET', flow.key, 'l' .. task), flow, task)
end
