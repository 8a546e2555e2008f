-- What a call needs of many tasks of one flow is read together: by one command, where it would be one or two
-- for each task.
-- rarely used
-- needs: base, common_fields, flow_control, flow_fields, lanes, limits

-- Fields of a flow are known from here on; one that is absent as false. What this call has changed stays.
-- `is_own`: see values_of.
local function learn_fields(flow, names, is_own)
  local values = values_of(flow, names, is_own)
  for index = 1, #names do
    local name = names[index]
    if flow[name] == nil then
      flow[name] = values[index]
    end
  end
end

-- Of outcomes that are to be counted (six values each, the first one's member at `at`) those of this flow.
-- What items have in common is not among it.
local function read_for_outcomes(flow, values, at)
  flow.has_read_outcomes = true
  local names = {}
  for index = at, #values, 6 do
    local id, task = split_member(values[index])
    if id == flow.id then
      local n = #names
      names[n + 1], names[n + 2] = state_field(task), dependents_field(task)
      if flow.kept then
        names[n + 3] = readers_field(task)
      end
      if has_control and is_any_counted() then
        names[#names + 1] = lane_field(task)
      end
    end
  end
  learn_fields(flow, names, true)
end

-- Of tasks that were chosen (member, lane, ...), from `at` on, those of this flow. `lane`: the name of that
-- which all are of, if they are.
local function read_for_claims(flow, chosen, at, lane)
  flow.read_for = chosen
  local names, states = {}, {}
  for index = at, #chosen, 2 do
    local id, task = split_member(chosen[index])
    if id == flow.id then
      local n, state = #names, state_field(task)
      names[n + 1] = message_field(task)
      if not flow[state] then -- else it was asked for when the task became ready
        n = n + 1
        names[n + 1] = state
        states[#states + 1] = state
      end
      if flow.ruled and not lane_of(lane or chosen[index + 1]).window then -- see start_task
        names[n + 2] = rules_field(task)
      end
    end
  end
  learn_fields(flow, names, true)
  for index = 1, #states do
    flow[states[index]] = flow[states[index]] or NEVER
  end
end
