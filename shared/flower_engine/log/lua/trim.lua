#!lua flags=allow-oom
-- trim: drops archived log entries and forgets flows that ended long ago.
-- include _common
--
-- Guarantees: `from` and everything after it stays (callers give at most the archived position, so the
-- entry AT that position is there for the projector's check); an ended flow is forgotten only when its
-- end is archived and `keep` has passed. Nothing is trimmed for another installation. Safe to send twice.
-- ARGV: generation, installation id, from (log position), archived position in ms, keep in ms,
--   most flows to forget
-- Reply: {"ok", entries trimmed, flows forgotten} or {"lost"}. Cost: linear in what goes (whole nodes of
--   the stream, at most 10,000 entries a call).
local head = call('HMGET', KEYS[1], 'generation', 'installation')
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] then
  return { 'lost' }
end
local trimmed = call('XTRIM', log_key, 'MINID', '~', ARGV[3])
local before = math.min(tonumber(ARGV[4]), now - tonumber(ARGV[5]))
local forgotten, endings = {}, prefix .. 'endings'
for _, ending in ipairs(call('LRANGE', endings, 0, tonumber(ARGV[6]) - 1)) do
  local at, id = match(ending, '^(%d+) (.*)$')
  if tonumber(at) >= before then
    break
  end
  forgotten[#forgotten + 1] = prefix .. 'ended:' .. id
end
if #forgotten > 0 then
  call('LTRIM', endings, #forgotten, -1)
  call('UNLINK', unpack(forgotten))
end
return { 'ok', trimmed, #forgotten }
