-- A Redis that went back in time, as a caller proves it who was answered later than Redis remembers.
-- needs: base, keys

local function flow_is_known(id)
  return call('EXISTS', prefix .. 'flow:' .. id, prefix .. 'ended:' .. id) > 0
end

-- How many of the outcomes, from this argument on, are of flows that Redis does not know.
local function count_unknown(first)
  local count = 0
  for index = first, #ARGV, 6 do
    if not flow_is_known((split_member(ARGV[index + 1]))) then
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
local function future_lease(first)
  local last_ids = {}
  for index = first, #ARGV, 6 do
    local work = prefix .. 'work:' .. ARGV[index + 2]
    if not last_ids[work] then
      local info = redis.pcall('XINFO', 'STREAM', work)
      last_ids[work] = '0-0'
      for at = 1, #info, 2 do
        if info[at] == 'last-generated-id' then
          last_ids[work] = info[at + 1]
        end
      end
    end
    if is_behind(last_ids[work], ARGV[index]) then
      return ARGV[index]
    end
  end
end

-- Fences everybody off, as halt does. `rewound` counts the outcomes that came for flows which are not known.
local function halt_rewound(why, unknown)
  call('HDEL', KEYS[1], 'generation')
  call('HSET', KEYS[1], 'halted_generation', ARGV[1], 'halted_why', why, 'rewound', digits(unknown))
  return { 'lost' }
end

-- The same for outcomes that come when the partition is halted already.
local function note_unknown(first)
  local halted = call('HMGET', KEYS[1], 'generation', 'halted_generation', 'rewound')
  if not halted[1] and halted[2] == ARGV[1] and halted[3] then
    call('HINCRBY', KEYS[1], 'rewound', digits(count_unknown(first)))
  end
end
