-- Signals that a flow keeps until a task takes them.
--
-- Field "Q" of a flow is "<next number>" and a line "<number> <name> <key>" for each, oldest first;
-- "q<number>" has three lines: its id and who sent it, as JSON, and its payload. Each id that the flow ever
-- got is the name of a field, so that a signal counts once; so it gets no more than these in all.
-- rarely used
-- needs: base, flow_fields, flows
local MOST_KEPT = 1000
local MOST_GOT = 20000

-- What the flow keeps: a list of {number, name, key}, and the number of the next one.
local function kept_signals(flow)
  if not flow.signals then
    local text = call('HGET', flow.key, SIGNALS) or '1\n'
    local kept = { next = tonumber(match(text, '^%d+')) }
    for number, name, key in string.gmatch(text, '\n(%d+) (%S+) (%S*)') do
      kept[#kept + 1] = { number, name, key }
    end
    flow.signals = kept
  end
  return flow.signals
end

local function save_signals(flow, kept)
  local lines = { digits(kept.next) .. '\n' }
  for index = 1, #kept do
    lines[index + 1] = concat(kept[index], ' ') .. '\n'
  end
  set(flow, SIGNALS, concat(lines))
end

-- Remembers the id of a signal that counts; whether it may: nothing is noted where it may not.
local function note_signal(flow, id)
  local got = tonumber(call('HGET', flow.key, SIGNALS_GOT) or 0)
  if got >= MOST_GOT then
    return false
  end
  set(flow, SIGNALS_GOT, digits(got + 1))
  set(flow, signal_id_field(id), '')
  return true
end

-- Keeps a signal; `id` and `by` are JSON.
local function keep_signal(flow, name, key, id, by, payload)
  local kept = kept_signals(flow)
  local number = digits(kept.next)
  kept[#kept + 1] = { number, name, key }
  kept.next = kept.next + 1
  set(flow, signal_field(number), id .. '\n' .. by .. '\n' .. payload)
  save_signals(flow, kept)
end

-- The oldest signal of this name, and of this key ("": of any), is kept no more: its id, who sent it, and its
-- payload; or nothing, where there is none.
local function take_signal(flow, name, key)
  local kept = kept_signals(flow)
  for index = 1, #kept do
    local number, its_name, its_key = unpack(kept[index])
    if its_name == name and (key == '' or its_key == key) then
      table.remove(kept, index)
      save_signals(flow, kept)
      local field = signal_field(number)
      local text = call('HGET', flow.key, field)
      call('HDEL', flow.key, field)
      return match(text, '^(.-)\n(.-)\n(.*)$')
    end
  end
end
