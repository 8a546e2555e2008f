#!lua
-- signal: something of the world has happened that flows wait for.
-- needs: base, commit, events, flow_fields, flows, keys, meta, signals, waits
--
-- Guarantees: a signal counts once in a flow, by its id. The task that awaits it there (one that names its
--   key before one that takes any, the lower number first) is Finish together with the events, and its
--   dependents go on; where none does, the flow keeps it. Safe to send twice.
-- ARGV: generation, name, key (as keys have them), name (JSON), key (JSON), who sends it (JSON), id, id
--   (JSON), payload (JSON), mode ("keep"; "each": not where no task awaits it; "first": the same, and only
--   one flow gets it), flows...
-- Reply: {"ok", word for each flow...}: taken <task> | kept | known (it came before) | full (it keeps as many
--   as it may) | spent (it got as many as it may in all) | unawaited | absent (not under way) | other (one
--   had it before, of mode first); or {"lost"}.
--   Cost: linear in flows and the dependents of tasks that end (wide ones in steps).
local generation, name, key, name_json, key_json, by, id, id_json, payload, mode = unpack(ARGV, 1, 10)
if current_generation ~= generation then
  return { 'lost' }
end
local FIRST_SECONDS = 3600 -- so long it is remembered which flow got one
local had_it = mode == 'first' and call('GET', operation_key('first:' .. id))

-- The task of a flow that awaits it, or nil.
local function task_awaiting(flow_id)
  for _, its_key in ipairs(key == '' and { '' } or { key, '' }) do
    local head = name .. ' ' .. its_key .. ' ' .. flow_id
    local found = call('ZRANGE', waits_key(), '[' .. head .. ':', '(' .. head .. ';', 'BYLEX', 'LIMIT', 0, 1)
    if found[1] then
      return digits(tonumber(match(found[1], '(%d+)$')))
    end
  end
end

local function give(flow_id)
  local flow = flows[flow_id]
  if flow == nil then
    local counters = call('HGET', flow_key(flow_id), COUNTERS)
    flow = counters and keep_flow(flow_id, flow_key(flow_id), counters)
  end
  if not flow then
    return 'absent'
  elseif call('HEXISTS', flow.key, signal_id_field(id)) == 1 then
    return 'known'
  end
  local task = task_awaiting(flow_id)
  if not task and mode ~= 'keep' then
    return 'unawaited'
  elseif not task and #kept_signals(flow) >= MOST_KEPT then
    return 'full'
  elseif not note_signal(flow, id) then
    return 'spent'
  end
  append('{"type":"flow.signalled' .. at_flow .. flow_id .. '","v":' .. next_version(flow) .. ',"name":'
    .. name_json .. ',"id":' .. id_json .. ',"by":' .. by .. (key == '' and '' or ',"key":' .. key_json)
    .. ',"payload":' .. payload .. '}')
  if not task then
    keep_signal(flow, name, key, id_json, by, payload)
    return 'kept'
  end
  end_wait(flow, task, call('HGET', flow.key, state_field(task)), by, payload, id_json)
  return 'taken ' .. task
end

local words = { 'ok' }
for index = 11, #ARGV do
  if had_it then
    words[#words + 1] = had_it == ARGV[index] and 'known' or 'other'
  else
    words[#words + 1] = flows[ARGV[index]] and 'known' or give(ARGV[index])
    if mode == 'first' and sub(words[#words], 1, 5) == 'taken' then
      had_it = ARGV[index]
      call('SET', operation_key('first:' .. id), had_it, 'EX', FIRST_SECONDS)
    end
  end
end
commit()
return words
