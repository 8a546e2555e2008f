-- Shared by every transition (the loader prepends this file): keys, time, events.
--
-- KEYS[1] is the partition's meta hash and ARGV[1] the caller's generation. All other keys are derived
-- from KEYS[1], so they carry the same hash tag:
--   meta                 generation, installation, order (registrations), turn (claims), fanout (its length)
--   log                  stream of events            endings   list of ended flows, oldest first
--   flow:<flow>          a flow under way            ended:<flow>   "<version> <last lease>"
--   fanout               list "<flow>:<task>:<byte>": dependents still to be released
--   suspects             hash: the suspect that a worker holds
--   queues, workers      which exist; worker:<id> what it serves; call:<id> its last call
--   work:<queue>         leased tasks                bell:<queue>:<program>   wakes a waiting worker
--   ready:<queue>        shares with ready tasks     turns:<queue>   when each share was served last
--   share:<queue>:<priority>:<workflow>  its lanes   lane:<share>:<program>   ready tasks
-- Names inside a key have '%', ':', '/', ',' and ' ' percent-encoded (they arrive so).
local call = redis.call
local prefix = string.sub(KEYS[1], 1, -5)
local log_key = prefix .. 'log'
local sub, match, concat, floor = string.sub, string.match, table.concat, math.floor

-- A whole number as digits. Lua's own conversion goes through sprintf, and a batch repeats small numbers.
local digits_of = {}
local function digits(number)
  local text = digits_of[number]
  if not text then
    text = string.format('%d', number)
    digits_of[number] = text
  end
  return text
end

-- What most scripts need of meta, read by one command: `generation` is to be compared first.
local meta = call('HMGET', KEYS[1], 'generation', 'tick', 'skew', 'control', 'fanout', 'order')
local generation = meta[1]

-- Engine time, in ms (`now`: as digits): what every time that is stored is in. It follows Redis' clock, and
-- never goes back: where the clock does, it goes on from where it was, and is ahead of the clock by `skew` from
-- then on; that much less by the SLOWER-th part of the time that passes. It stands still while a script runs.
-- See model/engine_time.py.
local SLOWER = 10
local time = call('TIME')
local clock = time[1] * 1000 + floor(time[2] / 1000)
local tick, skew = tonumber(meta[2] or 0), tonumber(meta[3] or 0)
local now_ms, is_stepped_back = clock + skew, false
if now_ms < tick then
  is_stepped_back = true
  now_ms = tick
  local last = call('XREVRANGE', log_key, '+', '-', 'COUNT', 1)[1]
  if last then -- it may have happened after the tick
    now_ms = math.max(tick, tonumber(match(last[2][#last[2]], '^{"type":"[%a._]+","at":(%d+)') or 0))
  end
elseif skew > 0 then
  now_ms = now_ms - math.min(skew, floor((now_ms - tick) / SLOWER))
end
local now = digits(now_ms)

-- Calls a command with many values in steps that fit Lua's stack.
local CHUNK = 1000
local function call_chunked(command, key, values, step)
  local count = #values
  if count <= CHUNK then
    return call(command, key, unpack(values))
  end
  for first = 1, count, step do
    call(command, key, unpack(values, first, math.min(first + step - 1, count)))
  end
end

-- A member of a lane or a work entry is "<flow id>:<task>"; flow ids have 36 characters.
local function split_member(member)
  return sub(member, 1, 36), sub(member, 38)
end

-- Appends an event (JSON) to the log; written at the end of the script.
local appended = {}
local function append(event)
  appended[#appended + 1] = event
end

-- What is to be forgotten one day (a flow that ended, an idempotency key), and the list that it is noted in
-- as "<ms>@<position> <what>", at the end of the script: nothing that led there lies behind that position.
local noted = {}
local function note_old(list, what)
  local some = noted[list]
  if not some then
    some = {}
    noted[list] = some
  end
  some[#some + 1] = what
end

-- The position of the last event.
local function last_position()
  local last = call('XREVRANGE', log_key, '+', '-', 'COUNT', 1)[1]
  return last and last[1] or '0-0'
end

-- The order of two positions; one that is not given ("") is before every other.
local function is_before(one, other)
  local ms, number = match(one, '^(%d+)-(%d+)$')
  local other_ms, other_number = match(other, '^(%d+)-(%d+)$')
  ms, other_ms = tonumber(ms or -1), tonumber(other_ms or -1)
  return ms < other_ms or (ms == other_ms and tonumber(number or 0) < tonumber(other_number or 0))
end

-- Whether a history that was read up to a position may lack an end that is forgotten: a flow that Redis does
-- not know may then have moved on since, and nothing tells.
local function is_older_than_forgotten(position)
  return is_before(position, call('HGET', KEYS[1], 'forgotten_to') or '')
end

-- Writes what was appended. A few events are an entry each. Of more, all but the
-- first are packed: an entry "n" "<bytes,...>" "e" "<event><event>..." has the position of its last event as
-- its id, and the ids below, which nobody else gets, are the positions of those before it. meta counts by how
-- many the events are more than the entries.
-- Returns the position of the last one.
local LEAST_PACKED, PACK_EVENTS, PACK_BYTES = 4, 64, 32768
local function write_events()
  local count, id = #appended, nil
  if count < LEAST_PACKED then
    for index = 1, count do
      id = call('XADD', log_key, '*', 'e', appended[index])
    end
    return id
  end
  local ms, number = match(call('XADD', log_key, '*', 'e', appended[1]), '^(%d+)-(%d+)$')
  number = tonumber(number)
  local first, spared = 2, 0
  while first <= count do
    local last, bytes = first, #appended[first]
    local sizes = { digits(bytes) }
    while last < count and last - first + 1 < PACK_EVENTS and bytes + #appended[last + 1] <= PACK_BYTES do
      last = last + 1
      bytes = bytes + #appended[last]
      sizes[#sizes + 1] = digits(#appended[last])
    end
    number = number + #sizes
    id = ms .. '-' .. digits(number)
    if #sizes == 1 then
      call('XADD', log_key, id, 'e', appended[first])
    else
      call('XADD', log_key, id, 'n', concat(sizes, ','), 'e', concat(appended, '', first, last))
    end
    spared = spared + #sizes - 1
    first = last + 1
  end
  call('HINCRBY', KEYS[1], 'packed', digits(spared))
  return id
end

-- The end of every script: what it appended and noted is written.
local function save_events()
  local position = write_events()
  if is_stepped_back and position then -- the next scripts need not find it out; a watcher does what follows
    call('HSET', KEYS[1], 'skew', digits(now_ms - clock), 'tick', now, 'restamp', '')
  end
  for list, some in pairs(noted) do
    local head = now .. '@' .. (position or last_position()) .. ' '
    for index = 1, #some do
      some[index] = head .. some[index]
    end
    call_chunked('RPUSH', prefix .. list, some, CHUNK)
  end
end
