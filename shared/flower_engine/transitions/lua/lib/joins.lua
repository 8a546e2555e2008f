-- Tasks that finished in this call, and behind which one stands that reads very many, as a map reads its
-- items: that one hears of all of them together, when the outcomes of the call are counted.
-- rarely used
-- needs: base, edges, flow_fields, kept_results, release, rules
local READ_BY_LONG = '<!' -- what the links of a task end with that one task reads, which reads very many
local joins = {} -- {flow, task, how many, the last of them}

-- What is told later of a task behind others; false: its rule picks some of these, so it hears of each.
local function make_join(flow, task)
  local names = { open_field(task), lane_field(task), state_field(task), edges_field(task),
    rules_field(task) }
  local values = call('HMGET', flow.key, unpack(names))
  for index = 1, #names do
    if flow[names[index]] == nil then
      flow[names[index]] = values[index]
    end
  end
  local by = flow.ruled and rules_of_edges()
  if by and by.picks(by.rule_in(flow[rules_field(task)] or nil)) > 0 then
    return false
  end
  return { flow = flow, task = task, count = 0 }
end

-- A task has finished: its result is kept, and who waits for it hears of it later. False: that is to be done
-- otherwise.
local function join_later(flow, task, links, payload)
  local known = flow.joins
  if not known then
    known = {}
    flow.joins = known
  end
  local found = known[links]
  if found == nil then
    local behind = match(links, '^(%d+)<!$')
    found = behind and make_join(flow, behind) or false
    known[links] = found
  end
  if not found or flow.left == 0 then
    return false
  end
  if found.count == 0 then
    joins[#joins + 1] = found
  end
  found.count, found.last = found.count + 1, task
  local own = readers_field(task)
  local use = flow[own]
  if use == '1' then -- as most often, and so without keep_result
    local result, counted, changed = result_field(task), '1 ' .. digits(#payload), flow.changed
    local n = #changed
    changed[n + 1], changed[n + 2], changed[n + 3], changed[n + 4] = own, counted, result, payload
    flow[own], flow[result], flow.kept = counted, payload, flow.kept + #payload
  else
    flow[own] = use or call('HGET', flow.key, own) or '0'
    keep_result(flow, task, payload)
  end
  return true
end

local function tell_joins()
  for index = 1, #joins do
    local found = joins[index]
    local flow, task, count = found.flow, found.task, found.count
    found.count = 0
    local open, lane = flow[open_field(task)], flow[lane_field(task)]
    local state = flow[state_field(task)] or NEVER
    if flow.left > 0 and flow.ruled then
      by_rules().tell_one(flow, task, found.last, 'f', open, lane, state, nil, flow[edges_field(task)],
        flow[rules_field(task)] or nil, nil, count)
      by_rules().settle_ends(flow, found.last)
    elseif flow.left > 0 then
      release_one(flow, task, false, open, lane, state, nil, count)
    end
  end
  joins = {}
end
