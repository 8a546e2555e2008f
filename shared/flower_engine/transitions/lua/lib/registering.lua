-- Registering flows: what a plan's arguments say, and how a flow of it begins.
-- needs: base, bells, cancel_flow, child_windows, cleanup, engine_time, events, fanout_notes, flow_control
-- needs: flow_fields, flows
-- needs: kept_results, keys, lanes, meta, places, ready, timers

-- Reads so many plans of a call's values, as register.lua has them, the first at `at`; returns them, and what
-- comes behind them.
local function read_plans(count, values, at)
  local plans = {}
  for index = 1, tonumber(count) do
    local plan = {
      values = values,
      tasks = values[at] + values[at + 1],
      counters = '1 ' .. values[at] .. ' ' .. values[at + 1] .. ' ',
      done = tonumber(values[at + 1]),
      flags = values[at + 2],
      kept = tonumber(match(values[at + 2], HAS_DATA) or 0),
      timeout = tonumber(values[at + 3]),
      workflow = values[at + 4],
      lane = lane_of(values[at + 6]),
      tail = values[at + 5],
      wide = values[at + 7] == '1',
    }
    local roots = tonumber(values[at + 8])
    plan.first_root, plan.last_root = at + 9, at + 8 + 2 * roots
    local fields, sent = match(values[plan.last_root + 1], '^(%d+) ?(.*)$')
    plan.fields, plan.sent = tonumber(fields), sent ~= '' and sent_key(sent) or nil
    plan.first = plan.last_root + 2
    plan.last = plan.first - 1 + (plan.sent and 0 or plan.fields)
    at = plan.last + 1
    plans[index] = plan
  end
  return plans, at
end

-- Whether fields of a plan that were sent ahead are not all there (any more), though this flow of it is not
-- there either: nothing must be done then. A call that is sent again finds the flow that took them.
local function lacks_fields(plan, id)
  return plan.sent ~= nil and 2 * call('HLEN', plan.sent) ~= plan.fields
    and call('EXISTS', flow_key(id), ended_key(id)) == 0
end

-- Writes the fields of a plan, and these, as those of a flow. What was sent ahead becomes it as it is.
local function write_fields(plan, key, counters)
  local first = plan.first
  if plan.sent then
    call('PERSIST', plan.sent)
    call('RENAME', plan.sent, key)
  end
  call('HSET', key, COUNTERS, counters,
    unpack(plan.values, first, math.min(plan.last, first + CHUNK - 1)))
  for step = first + CHUNK, plan.last, CHUNK do
    call('HSET', key, unpack(plan.values, step, math.min(plan.last, step + CHUNK - 1)))
  end
end

local PLACES_OF_ITEMS = 6 -- behind its own tasks, see ready.lua: one for each number of digits, up to 100,000
local next_order = tonumber(order_mark or 0)
local new_places = {} -- workflow -> {ids that got a place}: written together

-- How many tasks of a flow are active when it begins.
local function active_roots(plan)
  return plan.wide and 1 or (plan.last_root - plan.first_root + 1) / 2
end

-- Where as many flows are under way as may be: what is done instead of letting another one in. A word that
-- ends the registration, or "queue", or nil: there is a place.
local function at_limit(plan, may_only_queue)
  local workflow = plan.lane.workflow
  local most, choice = flow_limit(workflow)
  local under_way_key = flows_key(workflow)
  local taken = new_places[workflow]
  if taken and most then
    call_chunked('ZADD', under_way_key, taken, CHUNK)
    new_places[workflow] = nil
  end
  if not most or call('ZCARD', under_way_key) < most then
    return nil
  elseif may_only_queue then
    return 'queue'
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
      if not is_ending(flow) then
        cancel_flow(flow, '"limit"', '"a newer flow of the workflow was registered, and it may have '
          .. digits(most) .. ' under way at once"')
      end
      if flow.left > 0 then -- it cleans up without a place
        leave_place(flow, under_way_key)
      else
        flow.has_left = true
        gives_place(flow)
      end
    end
    call('ZREM', under_way_key, id)
    return at_limit(plan)
  elseif choice == 'skip' then
    return 'skipped ' .. call('ZREVRANGE', under_way_key, 0, 0)[1]
  end
  return 'queue'
end

-- Registers a flow; returns a word, see register.lua. `of_schedule`: "<uid> <slot> <slot before> <slot
-- behind>" of one that a schedule fired (nil: none did). `parent`: of a child {flow, PARENT as it has it, its
-- window or nil}: it has the place of that flow, and where there is none for it it waits in line.
local function register_flow(id, plan, idempotency_key, start, extra, of_schedule, parent)
  local key = flow_key(id)
  if call('EXISTS', key, ended_key(id)) > 0 then
    return 'duplicate'
  elseif lacks_fields(plan, id) then
    return 'anew'
  end
  if idempotency_key ~= '' then
    local known = call('GET', taken_key(idempotency_key))
    if known then
      return 'known ' .. known
    end
  end
  local limited = not start and has_control and at_limit(plan, parent ~= nil)
  if limited and limited ~= 'queue' then
    return limited
  end
  if idempotency_key ~= '' then
    call('SET', taken_key(idempotency_key), id .. ' ' .. plan.workflow)
    note_old(keyed_key(), idempotency_key)
  end
  local order = parent and parent.flow.order + 0 or next_order
  local flow = { id = id, key = key, done = plan.done, order = order, flags = plan.flags,
    timed = string.find(plan.flags, MAY_HAVE_TIMERS, 1, true) ~= nil }
  local active = (of_schedule or parent) and active_roots(plan) or nil
  if of_schedule then
    flow.flags = flow.flags .. OF_SCHEDULE
  elseif parent then
    flow.flags = flow.flags .. IS_CHILD .. (parent.window and IN_WINDOW or '')
  end
  if start then
    set_flag(flow, BEFORE_START, true)
  elseif limited then
    queue_flow(flow, plan.lane.workflow, plan.lane.priority)
  else
    local taken = new_places[plan.lane.workflow]
    if not taken then
      taken = {}
      new_places[plan.lane.workflow] = taken
    end
    taken[#taken + 1], taken[#taken + 2] = digits(order), id
    local most, _, counts_suspended = flow_limit(plan.lane.workflow)
    if gives_back(flow, most, counts_suspended) then
      set_flag(flow, IS_COUNTED, true)
      active = active_roots(plan)
    end
  end
  append('{"type":"flow.registered","at":' .. now .. ',"flow":"' .. id .. '","v":1,"order":'
    .. digits(order)
    .. plan.tail .. extra .. (start and ',"start_ms":' .. string.format('%d', start) or '') .. '}')
  local flags = flow.flags
  write_fields(plan, key, plan.counters .. digits(order) .. (flags == '' and '' or ' ' .. flags))
  if of_schedule then
    call('HSET', key, ACTIVE, digits(active), SCHEDULE, of_schedule)
  elseif parent then
    call('HSET', key, ACTIVE, digits(active), PARENT, parent.text)
  elseif active then
    call('HSET', key, ACTIVE, digits(active))
  end
  if start then
    call('ZADD', timers_key(), string.format('%d', start), start_timer(id))
  elseif not limited then
    if plan.timeout > 0 then
      set_timeout(flow_timer(id), plan.timeout)
    end
    for root = plan.first_root, plan.last_root, 2 do
      push(plan.values[root + 1], flow, plan.values[root])
    end
    if plan.wide then
      note_fanout(id, '0')
    end
  end
  count_kept(plan.kept)
  next_order = parent and next_order or next_order + plan.tasks + PLACES_OF_ITEMS
  return 'ok'
end

-- What the flows that were registered have in common is written, before the call's commit.
local function save_registered()
  if next_order > tonumber(order_mark or 0) then
    call('HSET', meta_key(), 'order', digits(next_order))
  end
  for workflow, taken in pairs(new_places) do
    call_chunked('ZADD', flows_key(workflow), taken, CHUNK)
  end
end
