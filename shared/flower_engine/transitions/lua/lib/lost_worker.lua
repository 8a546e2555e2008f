-- What follows when a worker, or the process that ran a program, is lost.
-- rarely used
-- needs: base, events, failed_for_good, flow_fields, flows, ready, statuses, suspects
local LOST, POISON = ' were lost while they ran this task', '; it is suspended so that it takes no more '

-- Counts a lost worker, or a lost process, against the task: it waits for a new attempt, or is poison.
-- `error`: how the process was lost, as JSON; nil for a worker, of which `silence` says how many seconds it
-- was not heard of. Returns lapsed | suspended.
local function lose(flow, task, lane, attempt, lost, lease, worker, most_lost, error, silence)
  local error_is_given = error ~= nil
  lost = digits(lost + 1)
  if tonumber(lost) < most_lost then
    if tonumber(lost) == most_lost - 1 then
      lane = suspect_lane(lane)
      set(flow, lane_field(task), lane)
    end
    set_state(flow, task, WAIT, attempt, lost, NO_LEASE)
    error = error or '{"type":"WorkerLost","message":"its worker ' .. worker .. ' was lost: no heartbeat for '
      .. silence .. ' s"}'
    append('{"type":"task.lapsed' .. about(flow, task, attempt, lease) .. ',"worker":"' .. worker
      .. '","lost":' .. lost .. ',"error":' .. error .. '}')
    push(lane, flow, task)
    return 'lapsed'
  end
  if error then
    local kind, rest = match(error, '^{"type":"(%w+)","message":"(.*)$')
    error = kind and '{"type":"' .. kind .. '","message":"' .. lost .. ' workers or processes' .. LOST
      .. POISON .. 'with it. The last one: ' .. rest or error
  else
    error = '{"type":"WorkerLost","message":"' .. lost .. ' workers' .. LOST .. ', the last one ' .. worker
      .. ' (no heartbeat for ' .. silence .. ' s)' .. POISON .. 'workers with it"}'
  end
  -- A lost worker may still hand its outcome in, and is refused; a lost process has just been handed in.
  fail_for_good(flow, task, attempt, lost, lease, error, error_is_given and lease or '-', ',"lost":' .. lost)
  return 'suspended'
end
