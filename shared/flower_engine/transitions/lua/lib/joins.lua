-- Tasks that finished in this call, and behind which one stands that reads very many, as a map reads its
-- items: that one hears of all of them together, when the outcomes of the call are counted. Then the others
-- hear, too, that stand behind each of them, as items of a map that goes along do: what is to be known of all
-- these is asked together.
-- rarely used
-- needs: base, common_fields, edges, flow_fields, flows, kept_results, reading_ahead, release, rules
local LONG = 33 -- "!", which the links of a task end with that is read by one that reads very many
local JOINED = '^(%d+),?([%d,]*)<(%d*)!$' -- who reads very many, others behind the task, what it read itself
local joins = {} -- {flow, task, how many, the last of them, how far ahead its flow was when that had ended}
local joined_flows = {} -- those of which others are to hear

-- What is told later of a task behind others; false: its rule picks some of these, so it hears of each.
local function make_join(flow, task)
  local names = { open_field(task), lane_field(task), state_field(task), edges_field(task),
    rules_field(task) }
  learn_fields(flow, names)
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
  local found, others, read = known[links], '', ''
  if found == nil then
    local behind
    behind, others, read = match(links, JOINED)
    if not behind or #others > WIDE_BYTES then
      return false
    end
    found = known[behind]
    if found == nil then
      found = make_join(flow, behind)
      known[behind] = found
      known[behind .. '<!'] = found -- what most items of maps have
    end
  end
  if not found or flow.left == 0 then
    return false
  end
  if found.count == 0 then
    joins[#joins + 1] = found
  end
  found.count, found.last, found.ahead = found.count + 1, task, flow.steps or flow.done
  local own = readers_field(task)
  local use = flow[own]
  if use == '1' or use == '2' then -- as most often, and so without keep_result
    local result, counted, changed = result_field(task), use .. ' ' .. digits(#payload), flow.changed
    local n = flow.changes
    changed[n + 1], changed[n + 2], changed[n + 3], changed[n + 4] = own, counted, result, payload
    flow.changes = n + 4
    flow[own], flow[result], flow.kept = counted, payload, flow.kept + #payload
  else
    if use == nil then
      flow[own] = call('HGET', flow.key, own)
    end
    keep_result(flow, task, payload)
  end
  if others ~= '' or read ~= '' then
    local later = flow.joined
    if not later then
      later = {}
      flow.joined = later
      joined_flows[#joined_flows + 1] = flow
    end
    local n = #later
    later[n + 1], later[n + 2], later[n + 3], later[n + 4] = task, flow.steps or flow.done, others, read
    later[n + 5] = false
  end
  return true
end

-- How items of a map hear of the end of one, as far as they have that in common: who reads very many, how far
-- ahead the others are behind each, with their lanes, and what it has read, with what that has in common.
local function join_of(flow, one)
  local behind, others, read = match(one.links, '^(%d+)([,+%-%d]*)<([+%-%d]*)!$')
  local found = behind and flow.joins[behind]
  if behind and found == nil then
    found = make_join(flow, behind)
    flow.joins[behind] = found
    flow.joins[behind .. '<!'] = found
  end
  one.join = found and { found = found, others = {}, lanes = {}, read = tonumber(read) } or false
  for far in string.gmatch(one.join and others or '', '[+-]%d+') do
    local n = #one.join.others + 1
    local behind_it = common_with(flow, one.first + far)
    one.join.others[n], one.join.lanes[n] = tonumber(far), behind_it and behind_it.lane
  end
  one.over = one.join and one.join.read and common_with(flow, one.first + one.join.read)
end

-- The same as join_later, of an item whose links say what those of all items of its map do.
local function join_common(flow, task, one, payload)
  flow.joins = flow.joins or {}
  if one.join == nil then
    join_of(flow, one)
  end
  local join, own, number = one.join, readers_field(task), task + 0
  if not join or flow.left == 0 then
    return false
  end
  local found, far, n = join.found, join.others, nil
  if found.count == 0 then
    joins[#joins + 1] = found
  end
  local ahead = flow.steps or flow.done
  found.count, found.last, found.ahead = found.count + 1, task, ahead
  if flow[own] == nil then
    flow[own] = call('HGET', flow.key, own)
  end
  if flow[own] or #payload > SHORT or number <= one.forgotten then
    keep_result(flow, task, payload)
  else -- as most often, and so without keep_result
    local result, changed = result_field(task), flow.changed
    n = flow.changes
    changed[n + 1], changed[n + 2] = result, payload
    flow.changes = n + 2
    flow[result], flow.kept = payload, flow.kept + #payload
  end
  if far[1] or join.read then
    local later, others = flow.joined, far[1] and {} or ''
    if not later then
      later = {}
      flow.joined = later
      joined_flows[#joined_flows + 1] = flow
    end
    for index = 1, #far do
      others[index] = digits(number + far[index])
    end
    n = #later
    later[n + 1], later[n + 2], later[n + 3] = task, ahead, others
    later[n + 4], later[n + 5] = join.read and digits(number + join.read) or '', one
  end
  return true
end

-- Tells a task of `count` others, the last of which is `of`. How far ahead its flow is, and so its place in
-- the lane, is as it was when that one had finished: `ahead`.
local function tell_as_of(flow, ahead, task, of, count)
  if flow.left == 0 then
    return
  end
  flow.as_of = ahead
  local open, lane, state = flow[open_field(task)], flow[lane_field(task)], flow[state_field(task)] or NEVER
  if flow.ruled then
    by_rules().tell_one(flow, task, of, 'f', open, lane, state, nil, flow[edges_field(task)],
      flow[rules_field(task)] or nil, nil, count)
  else
    release_one(flow, task, false, open, lane, state, nil, count)
  end
  flow.as_of = nil
  if flow.ruled then
    by_rules().settle_ends(flow, of)
  end
end

-- Asks what is to be known of those that stand beside who reads very many, and of what finished tasks read.
local function learn_joined(flow)
  local later, names, n = flow.joined, {}, 0
  for index = 1, #later, 5 do
    local others, read, one = later[index + 2], later[index + 3], later[index + 4]
    if others ~= '' then
      others = one and others or tasks_read(others)
      later[index + 2] = others
      for at = 1, #others do
        local other = others[at]
        names[n + 1], names[n + 2], names[n + 3] = open_field(other), lane_field(other), state_field(other)
        n = n + 3
        if flow.ruled then
          names[n + 1], names[n + 2] = edges_field(other), rules_field(other)
          n = n + 2
        end
      end
    end
    if read ~= '' then
      n = n + 1
      names[n] = readers_field(read)
      local over = one and one.over
      if over and read + 0 <= over.forgotten then -- that is forgotten now, most often
        n = n + 1
        names[n] = result_field(read)
      end
    end
  end
  learn_fields(flow, names, true)
  for index = 1, flow.common and #later or 0, 5 do
    local others, one = later[index + 2], later[index + 4]
    for at = 1, #others do
      local name = lane_field(others[at])
      flow[name] = flow[name] or (one and one.join.lanes[at]) or field_of(flow, name)
    end
  end
end

-- A task is read by one less: what is said of that, "2 17" for example, is most often said of many.
local function count_one_less(flow, task, less, one)
  local field = readers_field(task)
  local use = flow[field]
  local over = not use and (one and one.over or common_with(flow, task + 0))
  local left = over and common_readers(over, task + 0) - 1 or 0
  if left > 0 then
    set(flow, field, digits(left))
    return
  end
  use = use or '0'
  local fewer = less[use]
  if fewer == nil then
    local readers, bytes = match(use, '^(%d+)( %d+)$')
    fewer = readers and readers ~= '1' and readers ~= '0' and digits(readers - 1) .. bytes
    less[use] = fewer
  end
  if fewer then
    set(flow, field, fewer)
  else
    count_reader(flow, task, -1)
  end
end

local function tell_others(flow)
  local later, less = flow.joined, {}
  flow.joined = nil
  for index = 1, #later, 5 do
    local others, read = later[index + 2], later[index + 3]
    if read ~= '' then
      count_one_less(flow, read, less, later[index + 4])
    end
    if others ~= '' then
      for at = 1, #others do
        tell_as_of(flow, later[index + 1], others[at], later[index], 1)
      end
    end
  end
end

local function tell_joins()
  for index = 1, #joined_flows do
    learn_joined(joined_flows[index])
    tell_others(joined_flows[index])
  end
  for index = 1, #joins do
    local found = joins[index]
    local count = found.count
    found.count = 0
    tell_as_of(found.flow, found.ahead, found.task, found.last, count)
  end
  joins, joined_flows = {}, {}
end
