-- Before a round of a large flow ends its tasks leave their lanes, in steps: so that the end has less to do.
--
-- Meanwhile the flow is held (flag EMPTYING): what becomes ready is not pushed. What is in a lane still may
-- start. Events say nothing of all that: the tasks wait. Whoever reads the flow as a whole, and is not its
-- end, ends that (stop_emptying), and what has left its lane goes there again, or wherever it belongs then.
-- rarely used
-- needs: base, boards, common_fields, edges, flow_fields, flows, keys, lanes, ready, statuses, timers
-- needs: tree_notes, whole_flow, whole_notes, whole_reading
local EMPTY_STEP = 2000 -- tasks that a step looks at; a flow that has no more ends at once

-- Tasks of a flow leave a lane now, and not at the end of the call: they may go there again in this one.
local function take_out_now(flow, lane, texts)
  local members, timers, id = {}, {}, flow.id .. ':'
  for index = 1, #texts do
    members[index] = id .. texts[index]
    timers[index] = flow.timed and queue_timer(flow.id, texts[index]) or nil
  end
  call('ZREM', lane.key, unpack(members))
  mend(lane, board_of(lane))
  if flow.timed then
    call('ZREM', timers_key(), unpack(timers))
  end
end

-- Takes a step; whether the flow may end. Sets flow.is_emptied if its lanes were emptied, and flow.cleans_up
-- if a task cleans up.
local function leave_lanes(flow)
  local count, first, cleans_up = flow.left + flow.done, 1, nil
  if has_flag(flow, EMPTYING) then
    local from, mark = match(flow[EMPTIED] or call('HGET', flow.key, EMPTIED), '^(%d+) ?(%a?)$')
    first, cleans_up = from + 0, mark ~= ''
    if first > count then
      flow.is_emptied, flow.cleans_up = true, cleans_up
      return true
    end
  elseif count <= EMPTY_STEP then
    return true
  else
    set_flag(flow, EMPTYING, true)
  end
  local learned, after = learned_columns(flow), math.min(count, first + EMPTY_STEP - 1) + 1
  for from = first, after - 1, CHUNK do
    local last = math.min(after - 1, from + CHUNK - 1)
    write_digits(flow, from, last)
    local states = read_column(flow, state_field(''), from, last, learned.s)
    local lanes_read = read_column(flow, lane_field(''), from, last, learned.l)
    local rules_read = flow.ruled and read_column(flow, rules_field(''), from, last) or {}
    local of_lanes = {}
    for index = 1, last - from + 1 do
      local state, lane, rules = states[index], lanes_read[index], rules_read[index]
      local waits = not state or (sub(state, 1, 1) == WAIT and sub(state, -2) == ' -')
      if waits and string.byte(lane) ~= OF_THE_WORLD then
        local texts = of_lanes[lane]
        if not texts then
          texts = {}
          of_lanes[lane] = texts
        end
        texts[#texts + 1] = digits_of[from + index - 1]
      end
      cleans_up = cleans_up or (rules and rules_of_edges().cleans_up(rules))
    end
    for lane, texts in pairs(of_lanes) do
      take_out_now(flow, lane_of(lane), texts)
    end
  end
  set_again(flow, EMPTIED, digits(after) .. (cleans_up and ' c' or ''))
  return false
end

-- Ends a round of a flow of which nothing is in a lane and no task cleans up: of a task that waits for a
-- worker or has ended nothing but its state is read. Returns lists of tasks by where they stood, and of
-- those that are given up; nil: the flow has children, and nothing is done.
local function end_emptied(flow)
  local count, learned = flow.left + flow.done, learned_columns(flow).s
  local waiting, waits, running, suspended = {}, 0, {}, {}
  local elsewhere, names = {}, {} -- what runs, or waits elsewhere: state, task...; where its lane stands
  local is_usual, numbers = { [NEVER] = true }, digits_of -- states of those that wait for a worker
  for first = 1, count, CHUNK do
    local last = math.min(count, first + CHUNK - 1)
    write_digits(flow, first, last)
    local states = read_column(flow, state_field(''), first, last, learned)
    for index = 1, last - first + 1 do
      local state, text = states[index] or NEVER, numbers[first + index - 1]
      local status = is_usual[state] and WAIT or sub(state, 1, 1)
      if status == WAIT then
        waits = waits + 1
        waiting[waits] = text
        is_usual[state] = is_usual[state] or sub(state, -2) == ' -' or nil
      elseif status == RUNNING then
        running[#running + 1] = text
      elseif status == SUSPEND and match(state, KIND) ~= GIVEN_UP then
        suspended[#suspended + 1] = text
      end
      if status == RUNNING or (status == WAIT and not is_usual[state]) then
        elsewhere[#elsewhere + 1], elsewhere[#elsewhere + 2] = state, text
        names[#names + 1] = lane_field(text)
      end
      if status ~= FINISH and not is_usual[state] and sub(state, -8) == ' ' .. WITH_CHILD then
        return nil
      end
    end
  end
  drain_notes(flow)
  local lanes_of = values_of(flow, names)
  for index = 1, #names do
    local status, attempt, lost, lease = match(elsewhere[2 * index - 1], STATE)
    local known = { status = status, attempt = attempt, lost = lost, lease = lease, lane = lanes_of[index] }
    local leave = status == RUNNING and end_lease or unplace
    leave(flow, elsewhere[2 * index], known)
  end
  local holds = {}
  for index = 1, flow.ruled and #suspended or 0 do
    holds[index] = hold_timer(flow.id, suspended[index])
  end
  if #holds > 0 then
    call_chunked('ZREM', timers_key(), holds, CHUNK)
  end
  if #suspended > 0 then
    set_flag(flow, HAS_GIVEN_UP, true)
  end
  flow.left, flow.done = 0, count
  return { [WAIT] = waiting, [RUNNING] = running, [SUSPEND] = {} }, suspended
end
