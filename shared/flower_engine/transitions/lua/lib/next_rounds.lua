-- Another round begins: of a task whose program asked for it, or of one that a child does which asked for it.
--
-- Which task of a child asked stands in the field AGAIN of that, until it runs again, or is passed over.
-- rarely used
-- needs: base, common_fields, engine_time, events, failed_for_good, flow_fields, flows, ready, statuses
-- needs: timers
local MOST_ROUNDS = 10000 -- of all tasks of a flow: each is events of its history
local MOST_OF_TASK = '1000' -- where its definition does not say

-- How many rounds all loops of the flow have with one more, and which one of the task that is.
local function count_round(flow, task)
  local name = round_field(task)
  return tonumber(flow[ROUNDS] or call('HGET', flow.key, ROUNDS) or 0) + 1,
    match(flow[name] or call('HGET', flow.key, name) or '0', '^%d+') + 1
end

-- The next round of a task begins in `after` ms. `event`: that of it, up to its lease; `more`: more fields of
-- it; `given`: the parameters that hold in it (JSON).
local function begin_round(flow, task, attempt, event, after, given, more)
  local rounds, number = count_round(flow, task)
  local due = after > 0 and string.format('%d', now + after)
  call('HDEL', flow.key, failures_field(task), progress_field(task))
  set(flow, ROUNDS, digits(rounds))
  set(flow, round_field(task), digits(number) .. ' ' .. given)
  set_state(flow, task, WAIT, attempt, '0', due and '@' .. due or NO_LEASE)
  append(event .. ',"round":' .. digits(number) .. ',"rounds":' .. digits(rounds)
    .. (due and ',"due_ms":' .. due or '') .. more .. ',"given":' .. given .. '}')
  if due then
    set_timer(retry_timer(flow.id, task), after)
    return nil
  end
  return flow[lane_field(task)] or field_of(flow, lane_field(task))
end

-- The child of a task that awaits it has ended, and asked for another round, not before `due`: the task
-- begins it, with another child, or is held where it may have no more.
local function begin_next_child(parent, task, attempt, due, given)
  local rounds, number = count_round(parent, task)
  local wait = parent[wait_field(task)] or call('HGET', parent.key, wait_field(task))
  local most = tonumber(match(wait, '^flow 0 (%d+)$') or MOST_OF_TASK)
  local why = number > most and 'its child asked for round ' .. digits(number) .. ', and it may have '
      .. digits(most) .. ': max_rounds of its definition. A rerun begins at round 0 with the parameters of'
      .. ' the definition'
    or rounds > MOST_ROUNDS and 'its child asked for another round, and the loops of a flow have at most '
      .. MOST_ROUNDS .. ' rounds together, which this one has had: put what loops into a workflow of its own,'
      .. ' a child flow for some rounds'
  if why then
    local error = '{"type":"TooManyRounds","message":"' .. why .. '"}'
    set_state(parent, task, SUSPEND, attempt, '0', NO_LEASE)
    change_active(parent, -1)
    append('{"type":"task.overdue' .. at_flow .. parent.id .. '","v":' .. next_version(parent) .. ',"task":'
      .. task .. ',"error":' .. error .. '}')
    hold_waiting(parent, task, attempt, '0', error)
    return
  end
  local after = due == '0' and 0 or math.max(0, due - now_ms)
  local lane = begin_round(parent, task, attempt, '{"type":"task.again' .. about(parent, task, attempt, ''),
    after, given, ',"was":0')
  if lane then
    push(lane, parent, task)
  end
end

-- The task of a child that asked for another round of it, as text; nil: none did.
local function asker_of(flow)
  if not string.find(flow.flags, EITHER_CHILD) then
    return nil
  end
  flow[AGAIN] = flow[AGAIN] or call('HGET', flow.key, AGAIN) or ''
  return match(flow[AGAIN], '^%d+')
end

-- What a task asked for of its flow is over, if it did: it runs again, or is passed over.
local function forget_asker(flow, task)
  if asker_of(flow) == task then
    call('HDEL', flow.key, AGAIN)
    flow[AGAIN] = ''
  end
end
