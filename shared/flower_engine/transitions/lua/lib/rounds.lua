-- Loops: a program asks for another round of its task, or of its flow, with other parameters, at once or
-- later.
--
-- A round costs what a retry does: it waits for its timer without slot or lane, and then for a worker. Its
-- parameters are no part of the task's message; a claim adds them.
-- needs: base, common_fields, engine_time, events, failed_for_good, flow_fields, flows, next_rounds, ready
-- needs: statuses, suspects, timers

-- The message of a task as its worker gets it: with the round that it is in, and what is given for that.
-- `round`: what its field says (false: it is in none).
local function with_round(message, round)
  if not round then
    return message
  end
  local number, given = match(round, '^(%d+) (.*)$')
  return sub(message, 1, -2) .. ',"round":' .. number .. ',"given":' .. given .. '}'
end

-- What begins with nothing of the rounds before is no suspect any more, and kept from no version: the lane of
-- the task.
local function lane_of_round(flow, task)
  local lane = field_of(flow, lane_field(task))
  if not is_plain_lane(lane) then
    lane = plain_lane(lane)
    set(flow, lane_field(task), lane)
  end
  return lane
end

-- A running attempt ends with the wish for another round. word: "again", in `ms` ms; "again_at", at that
-- engine time. `given`: the parameters that hold in it (JSON).
local function ask_again(flow, task, attempt, lost, lease, word, ms, given)
  if count_round(flow, task) > MOST_ROUNDS then
    fail_for_good(flow, task, attempt, lost, lease, '{"type":"TooManyRounds","message":"the loops of a flow'
      .. ' have at most ' .. MOST_ROUNDS .. ' rounds together, and this one has had them: register a flow'
      .. ' that goes on from here, or put what loops into a workflow that another one has as a sub-flow, and'
      .. ' let that have the rounds: raise Again(parameters, of=\'flow\')"}', lease, '')
    return
  end
  local after = math.max(0, word == 'again' and ms or ms - now_ms)
  local is_now = begin_round(flow, task, attempt, '{"type":"task.again' .. about(flow, task, attempt, lease),
    after, given, '')
  local lane = lane_of_round(flow, task)
  if is_now then
    push(lane, flow, task)
  end
end

-- The same of the flow, which is a child: this round of it ends (see fire.lua), and then the task of its
-- parent begins the other one. word: "flow_again" or "flow_again_at".
local function ask_flow_again(flow, task, attempt, lost, lease, word, ms, given)
  local kind, why
  if not string.find(flow.flags, EITHER_CHILD) then
    kind, why = 'NoParentTask', 'its program asked for another round of its flow, which does no task of'
      .. ' another flow that could begin it: let another workflow have this one as a sub-flow, or ask for'
      .. ' another round of the task alone'
  elseif string.find(flow.flags, ENDING) then
    kind, why = 'FlowIsEnding', 'its program asked for another round of its flow, which is ending: all that'
      .. ' is left of it is its cleanup'
  end
  if kind then
    fail_for_good(flow, task, attempt, lost, lease, '{"type":"' .. kind .. '","message":"' .. why .. '"}',
      lease, '')
    return
  end
  local after = math.max(0, word == 'flow_again' and ms or ms - now_ms)
  local due = after > 0 and string.format('%d', now + after) or '0'
  call('HDEL', flow.key, failures_field(task), progress_field(task))
  set(flow, AGAIN, task .. ' ' .. attempt .. ' ' .. due .. ' ' .. given)
  set_state(flow, task, WAIT, attempt, '0', '@' .. now)
  append('{"type":"flow.again' .. about(flow, task, attempt, lease)
    .. (due == '0' and '' or ',"due_ms":' .. due) .. ',"given":' .. given .. '}')
  lane_of_round(flow, task)
  set_timer(retry_timer(flow.id, task), 0)
end
