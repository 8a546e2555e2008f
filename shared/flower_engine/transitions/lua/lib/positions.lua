-- Positions in the log, "<ms>-<number>": the last one, and their order.
-- needs: base, keys
-- layer: 1

-- The position of the last event.
local function last_position()
  local last = call('XREVRANGE', log_key(), '+', '-', 'COUNT', 1)[1]
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
  return is_before(position, call('HGET', meta_key(), 'forgotten_to') or '')
end
