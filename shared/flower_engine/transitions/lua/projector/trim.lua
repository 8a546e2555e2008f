#!lua flags=allow-oom
-- trim: drops archived log entries and forgets flows that ended, and idempotency keys, of long ago.
-- needs: base, engine_time, keys, positions
--
-- Guarantees: `from` and everything after it stays (callers give at most the archived position, so the
-- entry AT that position is there for the projector's check); an ended flow (a key) is forgotten only when its
--   end (registration) is archived and `keep` has passed. `forgotten_to` in meta says up to which position ends
--   may be forgotten, before the first of them is. Nothing is trimmed for another installation. Safe to send twice.
-- ARGV: generation, installation id, from (log position), archived position in ms, keep in ms,
--   most flows to forget, how many of the events ever appended are projected, archived position
-- Reply: {"ok", entries trimmed, flows forgotten} or {"lost"}. Cost: linear in what goes (whole nodes of
--   the stream, at most 10,000 entries a call).
local head = call('HMGET', KEYS[1], 'generation', 'installation', 'forgotten_to')
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] then
  return { 'lost' }
end
call('HSET', KEYS[1], 'projected', ARGV[7], 'projected_to', ARGV[8])
local trimmed = call('XTRIM', log_key, 'MINID', '~', ARGV[3])
local before, archived_ms, archived = now - tonumber(ARGV[5]), tonumber(ARGV[4]), ARGV[8]

-- Takes the oldest of a list, "<ms>@<position> <what>", as far as they are archived and old enough; calls
-- `forget` with each. One without a position is of an older version, and archived by its time.
local function forget_old(list, forget)
  local count = 0
  for _, entry in ipairs(call('LRANGE', list, 0, tonumber(ARGV[6]) - 1)) do
    local at, position, what = match(entry, '^(%d+)@?(%S*) (.*)$')
    at = tonumber(at)
    if at >= before or is_before(archived, position) or (position == '' and at >= archived_ms) then
      break
    end
    forget(what, position == '' and archived or position)
    count = count + 1
  end
  if count > 0 then
    call('LTRIM', list, count, -1)
  end
  return count
end

local forgotten_to = head[3] or ''
local forgotten = forget_old(prefix .. 'endings', function(what, position)
  local id, version = match(what, '^(%S+) ?(%d*)$')
  local key = prefix .. 'ended:' .. id
  -- A flow that was rerun since has another end, or none yet; an entry without a version is of an older one.
  if version == '' or match(call('GET', key) or '', '^%d+') == version then
    call('UNLINK', key)
    forgotten_to = is_before(forgotten_to, position) and position or forgotten_to
  end
end)
if forgotten_to ~= (head[3] or '') then
  call('HSET', KEYS[1], 'forgotten_to', forgotten_to)
end
forget_old(prefix .. 'keyed', function(key)
  call('UNLINK', prefix .. 'key:' .. key)
end)
return { 'ok', trimmed, forgotten }
