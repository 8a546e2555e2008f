-- What claimed tasks read: results that their flows keep, as far as they fit into the reply.
-- rarely used
-- needs: base, common_fields, flow_fields, kept_results
local MOST_INPUT_BYTES = 262144
local MOST_INPUTS = 1000 -- results in a reply: a call looks at no more of them
local MOST_FLOW_BYTES = 4194304
local READS, END = '"reads":{', '},"refs":true}' -- in a message: what its references name stands between
local LAST_OF_END = 101 -- "e"
local LAST_BYTES = 100 -- of a message: most often they have that
local readers_claimed = {} -- flow, task, lease, ...: claimed tasks of flows with data
local reading_flows, looked_at = {}, 0
local keeping = {} -- is_full: the partition keeps as many bytes of results as it may

-- What a message's references name, '"3":3,"7":7', or nil: they name nothing. (A parameter may look alike;
-- the last one is the message's own.)
local function reads_in(message)
  if string.byte(message, -2) ~= LAST_OF_END or sub(message, -#END) ~= END then
    return nil
  end
  local first, last = string.find(message, READS, -LAST_BYTES, true)
  if not first then
    first, last = string.find(message, READS, 1, true)
  end
  local found = nil
  while first do
    found = last
    first, last = string.find(message, READS, last, true)
  end
  local reads = found and sub(message, found + 1, -#END - 1)
  return reads and not string.find(reads, '}', 1, true) and reads or nil
end

-- The tasks whose results a message's references name.
local function reads_of_message(message)
  local tasks = {}
  for producer in string.gmatch(reads_in(message) or '', ':(%d+)') do
    tasks[#tasks + 1] = producer
  end
  return tasks
end

local WANTED = 'w' -- before a task: its result is on the list

-- Notes that the result of a task is wanted, once a flow.
local function want(flow, producer)
  local wanted, mark = flow.wanted, WANTED .. producer
  if not wanted then
    flow.wanted = { producer }
    reading_flows[#reading_flows + 1] = flow
  elseif flow[mark] then
    return
  else
    wanted[#wanted + 1] = producer
  end
  flow[mark] = true
  looked_at = looked_at + 1
end

-- A task of a flow with data was claimed. What it reads stands in its message, too, so that nothing is asked.
local function note_reader(flow, task, lease, message)
  local n = #readers_claimed
  readers_claimed[n + 1], readers_claimed[n + 2], readers_claimed[n + 3] = flow, task, lease
  local reads = reads_in(message)
  if not reads then
    return
  end
  local colon = string.find(reads, ':', 1, true)
  if not string.find(reads, ',', colon, true) then -- as most often
    if looked_at < MOST_INPUTS then
      want(flow, sub(reads, colon + 1))
    end
    return
  end
  for producer in string.gmatch(reads, ':(%d+)') do
    if looked_at >= MOST_INPUTS then
      return
    end
    want(flow, producer)
  end
end

-- Adds the results of these tasks of a flow to a reply, "<flow>:<task>" and payload ("-": it has none), while
-- all together are no more than `most` bytes. The first one is added whatever its size if `is_first_free`.
-- Returns the bytes added.
local function add_results(reply, flow, tasks, most, is_first_free)
  local count = #tasks
  if flow.kept > most then -- only then may something be too much
    local sum = 0
    read_uses(flow, tasks, {})
    for index = 1, count do
      local _, bytes = use_of(flow, tasks[index])
      if sum + bytes > most and not (is_first_free and index == 1) then
        count = index - 1
        break
      end
      sum = sum + bytes
    end
  end
  local names
  for index = 1, count do
    local name = result_field(tasks[index])
    if not flow[name] then
      names = names or {}
      names[#names + 1] = name
    end
  end
  if names then
    local values = values_of(flow, names)
    for index = 1, #names do
      flow[names[index]] = values[index]
    end
  end
  local bytes, n = 0, #reply
  for index = 1, count do
    local task = tasks[index]
    local payload = flow[result_field(task)] or ''
    if payload == '' then
      payload = '-'
    end
    reply[n + 1], reply[n + 2] = flow.id .. ':' .. task, payload
    n = n + 2
    bytes = bytes + #payload
  end
  return bytes
end

-- What the claimed tasks read, each result once a flow, and the leases of which the result is to be stored as
-- a blob: their flow keeps all it may, or the partition does, and somebody reads it.
local function inputs_of_claims()
  local results, full, left = {}, {}, MOST_INPUT_BYTES
  for index = 1, #readers_claimed, 3 do
    local flow, task = readers_claimed[index], readers_claimed[index + 1]
    if keeping.is_full or flow.kept >= MOST_FLOW_BYTES then
      read_uses(flow, { task }, {})
      if use_of(flow, task) > 0 then
        full[#full + 1] = readers_claimed[index + 2]
      end
    end
  end
  for index = 1, #reading_flows do
    local flow = reading_flows[index]
    left = left - add_results(results, flow, flow.wanted, left, false)
  end
  return results, full
end
