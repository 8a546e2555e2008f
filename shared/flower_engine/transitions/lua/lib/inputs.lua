-- What claimed tasks read: results that their flows keep, as far as they fit into the reply.
-- needs: base, flow_fields, kept_results, meta
local MOST_INPUT_BYTES = 262144
local MOST_INPUTS = 1000 -- results in a reply: a call looks at no more of them
local MOST_FLOW_BYTES = 4194304
local READS = '"reads":{([^{}]*)},"refs":true}$' -- the end of a message, and what its references name
local readers_claimed = {} -- {flow, task, lease, reads}: claimed tasks of flows with data

-- A task of a flow with data was claimed. What it reads stands in its message, too, so that nothing is asked.
local function note_reader(flow, task, lease, message)
  readers_claimed[#readers_claimed + 1] = { flow, task, lease, match(message, READS) }
end

-- Adds the results of these tasks of a flow to a reply, "<flow>:<task>" and payload ("-": it has none), while
-- all together are no more than `most` bytes. The first one is added whatever its size if `is_first_free`.
-- Returns the bytes added.
local function add_results(reply, flow, tasks, most, is_first_free)
  local fitting, sum = tasks, 0
  if flow.kept > most then -- only then may something be too much
    local uses = uses_of(flow, tasks)
    fitting = {}
    for index = 1, #tasks do
      local bytes = uses[tasks[index]].bytes
      if sum + bytes > most and not (is_first_free and index == 1) then
        break
      end
      sum = sum + bytes
      fitting[index] = tasks[index]
    end
  end
  local names, asked, found, known = {}, {}, {}, flow.uses or {}
  for index = 1, #fitting do
    local task = fitting[index]
    found[index] = known[task] and known[task].payload
    if not found[index] then
      names[#names + 1], asked[#asked + 1] = result_field(task), index
    end
  end
  for first = 1, #names, CHUNK do
    local got = call('HMGET', flow.key, unpack(names, first, math.min(#names, first + CHUNK - 1)))
    for index = 1, #got do
      found[asked[first + index - 1]] = got[index]
    end
  end
  local bytes = 0
  for index = 1, #fitting do
    local payload, n = found[index] or '-', #reply
    reply[n + 1], reply[n + 2] = flow.id .. ':' .. fitting[index], payload
    bytes = bytes + #payload
  end
  return bytes
end

-- What the claimed tasks read, each result once a flow, and the leases of which the result is to be stored as
-- a blob: their flow keeps all it may, or the partition does (`most_kept` bytes) and somebody reads it.
local function inputs_of_claims(most_kept)
  local results, full, left, asked, order = {}, {}, MOST_INPUT_BYTES, {}, {}
  local looked_at = 0
  local is_partition_full = tonumber(kept_mark or 0) >= most_kept
  for _, claimed in ipairs(readers_claimed) do
    local flow, task, lease, reads = claimed[1], claimed[2], claimed[3], claimed[4]
    if reads then
      local wanted = asked[flow]
      if not wanted then
        wanted = {}
        asked[flow] = wanted
        order[#order + 1] = flow
      end
      for producer in string.gmatch(reads, ':(%d+)') do
        if looked_at >= MOST_INPUTS then
          break
        elseif not wanted[producer] then
          looked_at = looked_at + 1
          wanted[producer] = true
          wanted[#wanted + 1] = producer
        end
      end
    end
    if (is_partition_full or flow.kept >= MOST_FLOW_BYTES) and uses_of(flow, { task })[task].readers > 0 then
      full[#full + 1] = lease
    end
  end
  for _, flow in ipairs(order) do
    left = left - add_results(results, flow, asked[flow], left, false)
  end
  return results, full
end
