#!lua
-- register: starts flows. Refused as a whole when memory is short (no allow-oom).
-- needs: base, bells, cancel_flow, commit, engine_time, events, fanout_notes, flow_control, flow_fields
-- needs: flows, kept_results, keys, lanes, meta, places, ready, timers
--
-- Guarantees: a flow is registered once, however often the call is sent, and once for each idempotency key;
-- its event, state and ready roots (or the timer of its start, or its place in the line of its workflow)
-- appear together. Where as many flows of its workflow are under way as may be, the limit says what follows.
-- ARGV: generation,
--   number of plans, then for each: tasks not final, final ones (of a fork), flags, timeout in ms (0: none),
--     workflow, event tail, lane of task 1, wide ("1": roots are released in steps), number of roots, (task,
--     lane) for each, number of fields, the fields of the flow hash (name, value...)
--   then for each flow: flow id, number of its plan (from 1), idempotency key or "",
--     start ("": now, "<ms>": by Redis' clock, "+<ms>": from now), more fields of its event (JSON)
-- Reply: {"ok", word for each flow} or {"lost"}; words: ok | duplicate | known <flow> <workflow>: the flow
--   that has the key | full <flows at once> | skipped <flow under way>. Cost: linear in fields and roots;
--   callers keep a call to a few thousand tasks.
local generation, plan_count = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end
local plans, at = {}, 3
for index = 1, tonumber(plan_count) do
  local plan = {
    tasks = ARGV[at] + ARGV[at + 1],
    counters = '1 ' .. ARGV[at] .. ' ' .. ARGV[at + 1] .. ' ',
    done = tonumber(ARGV[at + 1]),
    flags = ARGV[at + 2],
    kept = tonumber(match(ARGV[at + 2], HAS_DATA) or 0),
    timeout = tonumber(ARGV[at + 3]),
    workflow = ARGV[at + 4],
    lane = lane_of(ARGV[at + 6]),
    tail = ARGV[at + 5],
    wide = ARGV[at + 7] == '1',
  }
  local roots = tonumber(ARGV[at + 8])
  plan.first_root, plan.last_root = at + 9, at + 8 + 2 * roots
  local fields = tonumber(ARGV[plan.last_root + 1])
  plan.first, plan.last = plan.last_root + 2, plan.last_root + 1 + fields
  at = plan.last + 1
  plans[index] = plan
end

-- The time before which nothing of a flow starts, or nil if it starts now. One that is given by the clock is
-- in engine time what it will be when the clock shows it.
local function start_of(text)
  if text == '' then
    return nil
  end
  local start
  if sub(text, 1, 1) == '+' then
    start = now + sub(text, 2)
  else
    local ahead = tonumber(text)
    start = ahead + math.max(0, now_ms - clock - math.max(0, floor((ahead - clock) / SLOWER)))
  end
  return start > now_ms and start or nil
end

local order = tonumber(order_mark or 0)
local places = {} -- workflow -> {ids that got a place}: written together

-- Where as many flows are under way as may be: what is done instead of letting another one in. A word that
-- ends the registration, or "queue", or nil: there is a place.
local function at_limit(plan)
  local workflow = plan.lane.workflow
  local most, choice = flow_limit(workflow)
  local under_way_key = flows_key(workflow)
  local taken = places[workflow]
  if taken and most then
    call_chunked('ZADD', under_way_key, taken, CHUNK)
    places[workflow] = nil
  end
  if not most or call('ZCARD', under_way_key) < most then
    return nil
  elseif choice == 'reject' then
    return 'full ' .. digits(most)
  elseif choice == 'cancel_oldest' then
    local id = call('ZRANGE', under_way_key, 0, 0)[1]
    save_lanes() -- it may have been registered in this call
    ring()
    keep_pushed({})
    local key = flow_key(id)
    local counters = not flows[id] and call('HGET', key, COUNTERS)
    local flow = counters and keep_flow(id, key, counters) or flows[id]
    if flow then
      cancel_flow(flow, '"limit"', '"a newer flow of the workflow was registered, and it may have '
        .. digits(most) .. ' under way at once"')
      flow.has_left = true
    end
    call('ZREM', under_way_key, id)
    return at_limit(plan)
  elseif choice == 'skip' then
    return 'skipped ' .. call('ZREVRANGE', under_way_key, 0, 0)[1]
  end
  return 'queue'
end

local function register(id, plan, idempotency_key, start, extra)
  local key = flow_key(id)
  if call('EXISTS', key, ended_key(id)) > 0 then
    return 'duplicate'
  end
  if idempotency_key ~= '' then
    local known = call('GET', taken_key(idempotency_key))
    if known then
      return 'known ' .. known
    end
  end
  local limited = not start and has_control and at_limit(plan)
  if limited and limited ~= 'queue' then
    return limited
  end
  if idempotency_key ~= '' then
    call('SET', taken_key(idempotency_key), id .. ' ' .. plan.workflow)
    note_old(keyed_key(), idempotency_key)
  end
  local flow = { id = id, key = key, done = plan.done, order = order, flags = plan.flags,
    timed = string.find(plan.flags, MAY_HAVE_TIMERS, 1, true) ~= nil }
  local active = nil
  if start then
    set_flag(flow, BEFORE_START, true)
  elseif limited then
    queue_flow(flow, plan.lane.workflow, plan.lane.priority)
  else
    local taken = places[plan.lane.workflow]
    if not taken then
      taken = {}
      places[plan.lane.workflow] = taken
    end
    taken[#taken + 1], taken[#taken + 2] = digits(order), id
    local most, _, counts_suspended = flow_limit(plan.lane.workflow)
    if most and not counts_suspended then
      set_flag(flow, IS_COUNTED, true)
      active = plan.wide and 1 or (plan.last_root - plan.first_root + 1) / 2
    end
  end
  append('{"type":"flow.registered","at":' .. now .. ',"flow":"' .. id .. '","v":1,"order":' .. digits(order)
    .. plan.tail .. extra .. (start and ',"start_ms":' .. string.format('%d', start) or '') .. '}')
  local first, flags = plan.first, flow.flags
  call('HSET', key, COUNTERS, plan.counters .. digits(order) .. (flags == '' and '' or ' ' .. flags),
    unpack(ARGV, first, math.min(plan.last, first + CHUNK - 1)))
  for step = first + CHUNK, plan.last, CHUNK do
    call('HSET', key, unpack(ARGV, step, math.min(plan.last, step + CHUNK - 1)))
  end
  if active then
    call('HSET', key, ACTIVE, digits(active))
  end
  if start then
    call('ZADD', timers_key(), string.format('%d', start), start_timer(id))
  elseif not limited then
    if plan.timeout > 0 then
      set_timeout(flow_timer(id), plan.timeout)
    end
    for root = plan.first_root, plan.last_root, 2 do
      push(ARGV[root + 1], flow, ARGV[root])
    end
    if plan.wide then
      note_fanout(id, '0')
    end
  end
  count_kept(plan.kept)
  order = order + plan.tasks
  return 'ok'
end

local words = { 'ok' }
for index = at, #ARGV, 5 do
  local plan = plans[tonumber(ARGV[index + 1])]
  words[#words + 1] = register(ARGV[index], plan, ARGV[index + 2], start_of(ARGV[index + 3]), ARGV[index + 4])
end
if order > tonumber(order_mark or 0) then
  call('HSET', meta_key(), 'order', digits(order))
end
for workflow, taken in pairs(places) do
  call_chunked('ZADD', flows_key(workflow), taken, CHUNK)
end
commit()
return words
