-- What claimed tasks read: results that their flows keep, as far as they fit into the reply.
-- needs: base, flow_fields, kept_results, meta
local MOST_INPUT_BYTES = 262144
local MOST_INPUTS = 1000 -- results in a reply: a call looks at no more of them
local MOST_FLOW_BYTES = 4194304
local READS = '"reads":{([^{}]*)},"refs":true}$' -- the end of a message, and what its references name
local LAST_BYTES = 100 -- of a message: most often they have what it reads
local readers_claimed = {} -- flow, task, lease, ...: claimed tasks of flows with data
local reading_flows, looked_at = {}, 0

-- A task of a flow with data was claimed. What it reads stands in its message, too, so that nothing is asked.
local function note_reader(flow, task, lease, message)
  local n = #readers_claimed
  readers_claimed[n + 1], readers_claimed[n + 2], readers_claimed[n + 3] = flow, task, lease
  local reads = match(sub(message, -LAST_BYTES), READS) or match(message, READS)
  if not reads then
    return
  end
  local wanted = flow.wanted
  if not wanted then
    wanted = {}
    flow.wanted = wanted
    reading_flows[#reading_flows + 1] = flow
  end
  for producer in string.gmatch(reads, ':(%d+)') do
    if looked_at >= MOST_INPUTS then
      return
    elseif not wanted[producer] then
      looked_at = looked_at + 1
      wanted[producer] = true
      wanted[#wanted + 1] = producer
    end
  end
end

-- Adds the results of these tasks of a flow to a reply, "<flow>:<task>" and payload ("-": it has none), while
-- all together are no more than `most` bytes. The first one is added whatever its size if `is_first_free`.
-- Returns the bytes added.
local function add_results(reply, flow, tasks, most, is_first_free)
  local count = #tasks
  if flow.kept > most then -- only then may something be too much
    local uses, sum = uses_of(flow, tasks), 0
    for index = 1, count do
      local bytes = uses[tasks[index]].bytes
      if sum + bytes > most and not (is_first_free and index == 1) then
        count = index - 1
        break
      end
      sum = sum + bytes
    end
  end
  local names, places, known, bytes = {}, {}, flow.uses or {}, 0
  for index = 1, count do
    local task, n = tasks[index], #reply
    local use = known[task]
    local payload = use and use.payload
    if not payload then
      names[#names + 1], places[#places + 1] = result_field(task), n + 2
    end
    reply[n + 1], reply[n + 2] = flow.id .. ':' .. task, payload or '-'
    bytes = bytes + (payload and #payload or 0)
  end
  local found = values_of(flow, names)
  for index = 1, #places do
    local payload = found[index]
    if payload and payload ~= '' then
      reply[places[index]] = payload
      bytes = bytes + #payload
    end
  end
  return bytes
end

-- What the claimed tasks read, each result once a flow, and the leases of which the result is to be stored as
-- a blob: their flow keeps all it may, or the partition does (`most_kept` bytes) and somebody reads it.
local function inputs_of_claims(most_kept)
  local results, full, left = {}, {}, MOST_INPUT_BYTES
  local is_partition_full = tonumber(kept_mark or 0) >= most_kept
  for index = 1, #readers_claimed, 3 do
    local flow, task = readers_claimed[index], readers_claimed[index + 1]
    if (is_partition_full or flow.kept >= MOST_FLOW_BYTES) and uses_of(flow, { task })[task].readers > 0 then
      full[#full + 1] = readers_claimed[index + 2]
    end
  end
  for index = 1, #reading_flows do
    local flow = reading_flows[index]
    left = left - add_results(results, flow, flow.wanted, left, false)
  end
  return results, full
end
