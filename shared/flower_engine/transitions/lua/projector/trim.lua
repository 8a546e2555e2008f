#!lua flags=allow-oom
-- trim: drops archived log entries and forgets flows that ended, and idempotency keys, of long ago.
-- needs: base, engine_time, keys, positions
--
-- Guarantees: `oldest` and everything after it stays (callers give at most the archived position, so the
-- entry AT that position is there for the projector's check); an ended flow (a key) is forgotten only when
--   its end (registration) is archived and `keep` has passed. `forgotten_to` in meta says up to which
--   position ends may be forgotten, before the first of them is. Nothing is trimmed for another installation.
--   Safe to send twice.
-- ARGV: generation, installation id, oldest log position that stays, archived position in ms, keep in ms,
--   most flows to forget, how many of the events ever appended are projected, archived position
-- Reply: {"ok", entries trimmed, flows forgotten} or {"lost"}. Cost: linear in what goes (whole nodes of
--   the stream, at most 10,000 entries a call).
local generation, installation, oldest, archived_ms, keep_ms, most, projected, archived = unpack(ARGV, 1, 8)
local head = call('HMGET', meta_key(), 'generation', 'installation', 'forgotten_to')
if head[1] ~= generation or head[2] ~= installation then
  return { 'lost' }
end
call('HSET', meta_key(), 'projected', projected, 'projected_to', archived)
local trimmed = call('XTRIM', log_key(), 'MINID', '~', oldest)
local before = now - keep_ms
archived_ms = tonumber(archived_ms)

-- Takes the oldest of a list, "<ms>@<position> <what>", as far as they are archived and old enough; calls
-- `forget` with each. One without a position is of an older version, and archived by its time.
local function forget_old(list, forget)
  local count = 0
  for _, entry in ipairs(call('LRANGE', list, 0, tonumber(most) - 1)) do
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
local forgotten = forget_old(endings_key(), function(what, position)
  local id, version = match(what, '^(%S+) ?(%d*)$')
  local key = ended_key(id)
  -- A flow that was rerun since has another end, or none yet; an entry without a version is of an older one.
  if version == '' or match(call('GET', key) or '', '^%d+') == version then
    call('UNLINK', key)
    forgotten_to = is_before(forgotten_to, position) and position or forgotten_to
  end
end)
if forgotten_to ~= (head[3] or '') then
  call('HSET', meta_key(), 'forgotten_to', forgotten_to)
end
forget_old(keyed_key(), function(key)
  call('UNLINK', taken_key(key))
end)
return { 'ok', trimmed, forgotten }
