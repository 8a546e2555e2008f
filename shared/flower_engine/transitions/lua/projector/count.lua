#!lua flags=no-writes
-- count: how many events the log has behind a position, a part at a time.
-- needs: base, keys, meta
--
-- Guarantees: events that are appended meanwhile are left out of both numbers; nothing is changed.
-- ARGV: generation, count behind this position ("": from the first), up to this one ("": the last now)
-- Reply: {"ok", events counted, position to go on behind ("": all are counted), up to which position, events
--   ever appended by then} or {"lost"}. Cost: linear in the 1,000 entries that a call looks at.
local generation, behind, up_to = unpack(ARGV, 1, 3)
local MOST = 1000
if current_generation ~= generation then
  return { 'lost' }
end
local stream = {}
if call('EXISTS', log_key()) == 1 then
  local flat = call('XINFO', 'STREAM', log_key())
  for index = 1, #flat, 2 do
    stream[flat[index]] = flat[index + 1]
  end
end
local last = up_to ~= '' and up_to or stream['last-generated-id'] or '0-0'
local entries = call('XRANGE', log_key(), behind == '' and '-' or '(' .. behind, last, 'COUNT', MOST)
local next_position = #entries == MOST and entries[MOST][1] or ''

-- How many of an entry's events are behind the position that the count begins at.
local from_ms, from_number = match(behind, '^(%d+)-(%d+)$')
local function count_behind(entry)
  local fields, count = entry[2], 1
  if fields[1] == 'n' then
    local _, commas = string.gsub(fields[2], ',', '')
    count = commas + 1
  end
  local ms, number = match(entry[1], '^(%d+)-(%d+)$')
  return ms == from_ms and math.min(count, number - from_number) or count
end
local counted = 0
for _, entry in ipairs(entries) do
  counted = counted + count_behind(entry)
end
local added = (stream['entries-added'] or 0) + (call('HGET', meta_key(), 'packed') or 0)
return { 'ok', counted, next_position, last, added }
