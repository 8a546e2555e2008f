-- Claims: leases, starts and logs what the choice gives.
-- needs: base, choose, common_fields, events, flow_control, flow_fields, flows, inputs, keys, lanes, limits
-- needs: reading_ahead, ready, rounds, rules, scheduled, statuses, strikes, suspects, timers
local struck_tasks = {} -- {flow, task, dependents}: to be released after the claims
local claims = {} -- {lease, member, queue, attempt, message, progress, ...}
local granted_leases = {} -- for the call record

-- Starts a task that was taken from its lane; false: it does not run.
local function start_task(worker, queue, member, lane)
  local id, task = split_member(member)
  local flow, state, message = load_task(id, task, message_field(task))
  if not flow then
    return false -- a lane never holds a task of a flow that is gone; if one did, it must not stop the claim
  end
  local attempt, lost, progress, round = '1', '0', nil, nil
  if state ~= NEVER then
    local status, before, so_far = match(state, STATE)
    if status ~= WAIT then
      return false -- as above
    end
    attempt, lost = digits(before + 1), so_far
    local kept = call('HMGET', flow.key, progress_field(task), round_field(task))
    progress, round = flow[progress_field(task)] or kept[1], flow[round_field(task)] or kept[2]
  end
  local strikes_from = has_control and lane_of(lane)
  local strike = strikes_from and strikes_from.strikes ~= false
    and strike_on(flow, strikes_from, with_round(message, round))
  if strike then
    struck_tasks[#struck_tasks + 1] = { flow, task, field_of(flow, dependents_field(task)) }
    pass_over(flow, task, digits(attempt - 1), lost, strike)
    return false
  end
  local lease = call('XADD', work_key(queue), '*', 't', member)
  set_state(flow, task, RUNNING, attempt, lost, lease)
  if flow.timed then
    start_attempt_timer(flow, task)
  end
  if lost ~= '0' and is_suspect_lane(lane) then
    hold_suspect(worker, queue, lease)
  end
  local used = nil
  if flow.ruled and not lane_of(lane).window then -- an item of a map takes all that it waits for
    local rules = flow[rules_field(task)]
    if not rules or rules ~= flow.rules_that_take_all then
      used = by_rules().begin(flow, task)
      flow.rules_that_take_all = not used and rules or flow.rules_that_take_all
    end
  end
  append('{"type":"task.started' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
    .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. '","worker":"' .. worker
    .. (used and '"' .. used .. '}' or '"}'))
  local n = #claims
  claims[n + 1], claims[n + 2], claims[n + 3], claims[n + 4] = lease, member, queue, attempt
  claims[n + 5], claims[n + 6] = with_round(with_slots(flow, message), round), progress or ''
  if used then
    claims[n + 5] = by_rules().with_used(flow, task, claims[n + 5])
  end
  if flow.kept and (string.byte(message, -2) == LAST_OF_END or keeping.is_full
    or flow.kept >= MOST_FLOW_BYTES) then
    note_reader(flow, task, lease, message)
  end
  return true
end

-- The claims behind the first `before` are leased to the worker.
local function lease_claims(worker, queue, before)
  if #claims > before then
    local count = digits((#claims - before) / 6)
    local first, last = claims[before + 1], claims[#claims - 5]
    granted_leases[#granted_leases + 1] = queue .. '/' .. first .. '/' .. last .. '/' .. count
    call('XREADGROUP', 'GROUP', 'workers', worker, 'COUNT', count, 'STREAMS', work_key(queue), '>')
  end
end

-- Hands what this call made ready straight to the worker, past the lanes: where nothing else waits in the
-- queue, and the worker takes all of it, a choice would come to the same. Returns how many tasks that were.
local function hand_over(worker, queue, wanted, serves)
  local count, kept, handed = 0, {}, {}
  for index = 1, #pushed_lanes do
    local lane = lane_of(pushed_lanes[index])
    if lane.queue ~= queue then
      kept[#kept + 1] = lane.name
    elseif serves[lane.program] then -- a suspect's never is
      count = count + #pushed[lane.name] / 2
      handed[#handed + 1] = lane
    else
      return 0
    end
  end
  if count == 0 or count > wanted or has_control or call('EXISTS', ready_key(queue, '')) == 1 then
    return 0
  end
  table.sort(handed, function(one, other)
    return tonumber(one.priority) < tonumber(other.priority)
  end)
  local before = #claims
  for _, lane in ipairs(handed) do
    local list = pushed[lane.name]
    if #list > 2 then
      local id, task = split_member(list[2])
      local flow = flows[id]
      if flow and flow[message_field(task)] == nil then
        read_for_claims(flow, list, 2, lane.name)
      end
    end
    for at = 2, #list, 2 do
      start_task(worker, queue, list[at], lane.name)
    end
  end
  keep_pushed(kept)
  lease_claims(worker, queue, before)
  return count
end

-- Claims up to `wanted` tasks of a queue; returns how many were taken from their lanes.
local function claim(worker, queue, wanted, serves, taken)
  local chosen, before = {}, #claims
  local got = choose(worker, queue, wanted, serves, chosen, taken)
  for at = 1, #chosen, 2 do
    local id, following = sub(chosen[at], 1, 36), chosen[at + 2]
    local flow = following and flows[id]
    if flow and flow.read_for ~= chosen and id == sub(following, 1, 36) then
      read_for_claims(flow, chosen, at)
    end
    if not start_task(worker, queue, chosen[at], chosen[at + 1]) and has_control then
      count_not_started(lane_of(chosen[at + 1]))
    end
  end
  lease_claims(worker, queue, before)
  return got
end
