-- Loops: a program asks for another round of its task, with other parameters, at once or later.
--
-- A round costs what a retry does: it waits for its timer without slot or lane, and then for a worker. Its
-- parameters are no part of the task's message; a claim adds them.
-- needs: base, engine_time, events, failed_for_good, flow_fields, flows, ready, statuses, suspects, timers
local MOST_ROUNDS = 10000 -- of all tasks of a flow: each is events of its history

-- The message of a task as its worker gets it: with the round that it is in, and what is given for that.
-- `round`: what its field says (false: it is in none).
local function with_round(message, round)
  if not round then
    return message
  end
  local number, given = match(round, '^(%d+) (.*)$')
  return sub(message, 1, -2) .. ',"round":' .. number .. ',"given":' .. given .. '}'
end

-- A running attempt ends with the wish for another round. word: "again", in `ms` ms; "again_at", at that
-- engine time. `given`: the parameters that hold in it (JSON).
local function ask_again(flow, task, attempt, lost, lease, word, ms, given)
  local rounds = tonumber(flow[ROUNDS] or call('HGET', flow.key, ROUNDS) or 0) + 1
  if rounds > MOST_ROUNDS then
    fail_for_good(flow, task, attempt, lost, lease, '{"type":"TooManyRounds","message":"the loops of a flow'
      .. ' have at most ' .. MOST_ROUNDS .. ' rounds together, and this one has had them: register a flow'
      .. ' that goes on from here, or put what loops into workflows of its own, a child flow for some'
      .. ' rounds"}', lease, '')
    return
  end
  local number = match(call('HGET', flow.key, round_field(task)) or '0', '^%d+') + 1
  local after = math.max(0, word == 'again' and ms or ms - now_ms)
  local due = after > 0 and string.format('%d', now + after)
  call('HDEL', flow.key, failures_field(task), progress_field(task))
  set(flow, ROUNDS, digits(rounds))
  set(flow, round_field(task), digits(number) .. ' ' .. given)
  set_state(flow, task, WAIT, attempt, '0', due and '@' .. due or NO_LEASE)
  append('{"type":"task.again' .. about(flow, task, attempt, lease) .. ',"round":' .. digits(number)
    .. ',"rounds":' .. digits(rounds) .. (due and ',"due_ms":' .. due or '') .. ',"given":' .. given .. '}')
  local lane = call('HGET', flow.key, lane_field(task))
  if not is_plain_lane(lane) then -- it is no suspect any more, and kept from no version
    lane = plain_lane(lane)
    set(flow, lane_field(task), lane)
  end
  if due then
    set_timer(retry_timer(flow.id, task), after)
  else
    push(lane, flow, task)
  end
end
