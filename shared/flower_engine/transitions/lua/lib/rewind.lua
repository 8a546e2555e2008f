-- A Redis that went back in time, as a caller proves it who was answered later than Redis remembers.
-- rarely used
-- needs: base, keys

local function flow_is_known(id)
  return call('EXISTS', flow_key(id), ended_key(id)) > 0
end

-- How many of the outcomes, six values each from the first one on, are of flows that Redis does not know.
local function count_unknown(values, first)
  local count = 0
  for index = first, #values, 6 do
    if not flow_is_known((split_member(values[index + 1]))) then
      count = count + 1
    end
  end
  return count
end

local function is_behind(id, other)
  local ms, number = match(id, '^(%d+)-(%d+)$')
  local other_ms, other_number = match(other, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms), tonumber(other_ms)
  return ms < other_ms or (ms == other_ms and tonumber(number) < tonumber(other_number))
end

-- Of these outcomes one that holds a lease which no stream of work has given out yet; nil: there is none.
local function future_lease(values, first)
  local last_ids = {}
  for index = first, #values, 6 do
    local work = work_key(values[index + 2])
    if not last_ids[work] then
      local info = redis.pcall('XINFO', 'STREAM', work)
      last_ids[work] = '0-0'
      for at = 1, #info, 2 do
        if info[at] == 'last-generated-id' then
          last_ids[work] = info[at + 1]
        end
      end
    end
    if is_behind(last_ids[work], values[index]) then
      return values[index]
    end
  end
end

-- Fences everybody off, as halt does. `rewound` counts the outcomes that came for flows which are not known.
local function halt_rewound(generation, why, unknown)
  call('HDEL', meta_key(), 'generation')
  call('HSET', meta_key(), 'halted_generation', generation, 'halted_why', why, 'rewound', digits(unknown))
  return { 'lost' }
end

-- The same for outcomes that come when the partition is halted already.
local function note_unknown(generation, values, first)
  local halted = call('HMGET', meta_key(), 'generation', 'halted_generation', 'rewound')
  if not halted[1] and halted[2] == generation and halted[3] then
    call('HINCRBY', meta_key(), 'rewound', digits(count_unknown(values, first)))
  end
end
