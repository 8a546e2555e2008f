-- Events, and what is to be forgotten one day: put together in a call, written at its end.
-- needs: base, engine_time, keys, positions
-- layer: 1

-- Appends an event (JSON) to the log; written at the end of the script.
local appended = {}
local function append(event)
  appended[#appended + 1] = event
end

-- What is to be forgotten one day (a flow that ended, an idempotency key), and the key of the list that it is
-- noted in as "<ms>@<position> <what>", at the end of the script: nothing that led there lies behind that
-- position.
local noted = {}
local function note_old(list, what)
  local some = noted[list]
  if not some then
    some = {}
    noted[list] = some
  end
  some[#some + 1] = what
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
      id = call('XADD', log_key(), '*', 'e', appended[index])
    end
    return id
  end
  local ms, number = match(call('XADD', log_key(), '*', 'e', appended[1]), '^(%d+)-(%d+)$')
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
      call('XADD', log_key(), id, 'e', appended[first])
    else
      call('XADD', log_key(), id, 'n', concat(sizes, ','), 'e', concat(appended, '', first, last))
    end
    spared = spared + #sizes - 1
    first = last + 1
  end
  call('HINCRBY', meta_key(), 'packed', digits(spared))
  return id
end

-- The end of every script: what it appended and noted is written.
local function save_events()
  local position = write_events()
  if is_stepped_back and position then -- the next scripts need not find it out; a watcher does what follows
    call('HSET', meta_key(), 'skew', digits(now_ms - clock), 'tick', now, 'restamp', '')
  end
  for list, some in pairs(noted) do
    local head = now .. '@' .. (position or last_position()) .. ' '
    for index = 1, #some do
      some[index] = head .. some[index]
    end
    call_chunked('RPUSH', list, some, CHUNK)
  end
end
