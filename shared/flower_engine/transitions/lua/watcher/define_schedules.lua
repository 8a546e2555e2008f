#!lua flags=allow-oom
-- define_schedules: schedules are what their table says: new ones, changed ones, and those that are no more.
-- needs: base, engine_time, events, keys, meta
--
-- Guarantees: an older definition never replaces a newer one; the cursor never goes back. What is new acts
--   together with its event, and a watcher looks at the schedule at once. Safe to send twice.
-- ARGV: generation, "again" to tell of those that are the same, too, for each schedule: uid, version, state
--   (active | paused | problem | deleted), name (JSON), problem (JSON), its specification (JSON), what a flow
--   of it is made from ("": it must be read elsewhere), least cursor in ms, failures in a row so far as the
--   tables know ("": unknown)
-- Reply: {"ok", word for each: new | same | old} or {"lost"}. Cost: linear in the schedules and their bytes.
local generation, again = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end
local FIELDS = 9
local words = { 'ok' }

local function define(uid, version, state, name, problem, spec, plan, least, failures)
  local key = schedule_key(uid)
  local known = call('HMGET', key, 'v', 'c', 'f', 'st', 'h')
  if known[1] and tonumber(known[1]) > tonumber(version) then
    return 'old'
  elseif state == 'deleted' and not known[2] then
    return 'same' -- a watcher that begins tells of all that ever were
  end
  local cursor = math.max(tonumber(known[2] or 0), math.min(tonumber(least), clock))
  local count = known[3] or (failures == '' and '0' or failures)
  if known[4] == 'paused' and state == 'active' then
    count = '0' -- whoever lets it go on begins anew
  end
  local is_same = known[1] == version and tonumber(known[2]) == cursor
    and (known[4] == state or known[4] == 'finished')
  if is_same and again ~= 'again' then
    return 'same'
  end
  if is_same and known[4] == 'finished' then
    state = 'finished'
  end
  local held = known[5]
  if held and (state == 'deleted' or tonumber(held) <= cursor) then
    append('{"type":"schedule.skipped","at":' .. now .. ',"schedule":"' .. uid .. '","slot":' .. held
      .. ',"until":' .. held .. ',"reason":"superseded"}')
    call('HDEL', key, 'h')
    cursor = math.max(cursor, tonumber(held))
  end
  append('{"type":"schedule.defined","at":' .. now .. ',"schedule":"' .. uid .. '"'
    .. (count == '0' and '' or ',"failures":' .. count) .. ',"name":' .. name
    .. ',"version":' .. version .. ',"state":"' .. state .. '","cursor":' .. digits(cursor)
    .. (problem == '""' and '' or ',"problem":' .. problem) .. '}')
  if is_same then
    return 'same'
  elseif state == 'deleted' then
    call('UNLINK', key) -- its flows stay known, as it may come back
    call('ZREM', schedules_key(), uid)
    return 'new'
  end
  call('HSET', key, 'v', version, 'n', name, 'st', state, 'spec', spec, 'c', digits(cursor), 'f', count)
  if (known[4] == 'paused' or known[4] == 'problem') and state == 'active' then
    call('HSET', key, 'u', digits(clock) .. (known[4] == 'problem' and ' problem' or ''))
  end
  if problem == '""' then
    call('HDEL', key, 'p')
  else
    call('HSET', key, 'p', problem)
  end
  if plan == '' then
    call('HDEL', key, 'plan')
  else
    call('HSET', key, 'plan', plan)
  end
  call('ZADD', schedules_key(), string.format('%d', clock), uid)
  return 'new'
end

for index = 3, #ARGV, FIELDS do
  words[#words + 1] = define(unpack(ARGV, index, index + FIELDS - 1))
end
save_events()
return words
