#!lua flags=no-writes
-- count: how many events the log has behind a position, a part at a time.
-- include _common
--
-- Guarantees: events that are appended meanwhile are left out of both numbers; nothing is changed.
-- ARGV: generation, count behind this position ("": from the first), up to this one ("": the last now)
-- Reply: {"ok", events counted, position to go on behind ("": all are counted), up to which position, events
--   ever appended by then} or {"lost"}. Cost: linear in the 10,000 events that a call counts at most.
local MOST = 10000
if call('HGET', KEYS[1], 'generation') ~= ARGV[1] then
  return { 'lost' }
end
local stream = {}
if call('EXISTS', log_key) == 1 then
  local flat = call('XINFO', 'STREAM', log_key)
  for index = 1, #flat, 2 do
    stream[flat[index]] = flat[index + 1]
  end
end
local last = ARGV[3] ~= '' and ARGV[3] or stream['last-generated-id'] or '0-0'
local entries = call('XRANGE', log_key, ARGV[2] == '' and '-' or '(' .. ARGV[2], last, 'COUNT', MOST)
local next_position = #entries == MOST and entries[MOST][1] or ''
return { 'ok', #entries, next_position, last, stream['entries-added'] or 0 }
