-- A running attempt that is handed back: its task waits again for whoever is next, and nothing is counted.
-- rarely used
-- needs: common_fields, events, flow_fields, flows, misfits, ready, statuses
local function give_back(flow, task, attempt, lost, lease, lane, why)
  set_state(flow, task, WAIT, attempt, lost, NO_LEASE)
  append('{"type":"task.returned' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"task":'
    .. task .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. '"' .. (why or '') .. '}')
  push(lane or field_of(flow, lane_field(task)), flow, task)
end

-- Its worker's version of the program refuses it (`error`): it waits for another one. Returns false where
-- there is none: `others` ("<digest>.<digest>") refused it, too.
local function pass_on(flow, task, attempt, lost, lease, versions, others, error)
  local lane = lane_kept_from(field_of(flow, lane_field(task)), versions, others)
  if not lane then
    return false
  end
  set(flow, lane_field(task), lane)
  local listed_versions = string.gsub(versions, '%.', '","')
  give_back(flow, task, attempt, lost, lease, lane,
    ',"unfit":["' .. listed_versions .. '"],"error":' .. error)
  return true
end
