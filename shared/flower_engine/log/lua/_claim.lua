-- Claims: leases, starts and logs what the choice gives.
local claims, granted = {}, {} -- {lease, member, queue, attempt, message, progress, ...}; for the call record

local function start(queue, member, lane)
  local id, task = split_member(member)
  local flow, state, message = load_task(id, task, 'm')
  if not flow then
    return -- a lane never holds a task of a flow that is gone; if one did, it must not stop the claim
  end
  local attempt, lost, progress = '1', '0', false
  if state ~= NEVER then
    local status, before, so_far = match(state, STATE)
    if status ~= '0' then
      return -- as above
    end
    attempt, lost = digits(before + 1), so_far
    progress = call('HGET', flow.key, 'g' .. task)
  end
  local lease = call('XADD', prefix .. 'work:' .. queue, '*', 't', member)
  set_state(flow, task, '1', attempt, lost, lease)
  if flow.timed then
    start_attempt_timer(flow, task)
  end
  if lost ~= '0' and is_suspect_lane(lane) then
    hold_suspect(ARGV[2], queue, lease)
  end
  append('{"type":"task.started' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
    .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. '","worker":"' .. ARGV[2] .. '"}')
  local n = #claims
  claims[n + 1], claims[n + 2], claims[n + 3], claims[n + 4] = lease, member, queue, attempt
  claims[n + 5], claims[n + 6] = message, progress or ''
end

-- Claims up to `wanted` tasks of a queue; returns how many and the new last turn (see choose).
local function claim(queue, wanted, serves, turn, taken)
  local chosen, before, got = {}, #claims, nil
  got, turn = choose(queue, wanted, serves, turn, chosen, taken)
  for at = 1, #chosen, 2 do
    start(queue, chosen[at], chosen[at + 1])
  end
  if #claims > before then
    granted[#granted + 1] = queue .. '/' .. claims[before + 1] .. '/' .. claims[#claims - 5] .. '/' .. got
    call('XREADGROUP', 'GROUP', 'workers', ARGV[2], 'COUNT', got, 'STREAMS', prefix .. 'work:' .. queue, '>')
  end
  return got, turn
end
