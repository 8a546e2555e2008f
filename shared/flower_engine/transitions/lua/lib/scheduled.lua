-- Flows that schedules fired: what their schedules hear of them.
--
-- sflows:<uid> is a zset of those that have not ended, by their slot; by minus their slot where nothing goes
-- on until an operator acts (flag S). A schedule of which a slot waits for that (field "h") is due at once.
-- How often in a row its flows stopped, or ended with a task given up, is counted (field "f"); one that
-- finishes begins that anew.
-- needs: base, engine_time, flow_fields, flows, keys

local function schedule_of(flow)
  local uid, slot = match(call('HGET', flow.key, SCHEDULE) or '', '^(%S+) (%d+)')
  return uid, slot
end

-- The message of a task as its worker gets it: of a flow that a schedule fired with the slot, and those
-- before and behind it. It is put together here, so that the messages that Redis holds are those of any
-- other flow.
local function with_slots(flow, message)
  if flow.flags == '' or flow.slots == false or not string.find(flow.flags, EITHER_OF_SCHEDULE) then
    flow.slots = flow.slots or false
    return message
  end
  local slots = flow.slots or match(call('HGET', flow.key, SCHEDULE) or '', '^%S+ (%d+ %d+ %d+)$')
  if not slots then
    return message
  end
  flow.slots = slots
  return sub(message, 1, -2) .. ',"slots":[' .. string.gsub(slots, ' ', ',') .. ']}'
end

-- A flow is of a schedule from here on; `sign` "-": nothing of it goes on.
local function add_to_schedule(flow_id, uid, slot, sign)
  call('ZADD', schedule_flows_key(uid), sign .. slot, flow_id)
end

-- What its schedule hears of a flow: it ended, stopped, or goes on again.
local function tell_schedule(flow)
  local has_ended = flow.left == 0
  local has_stopped = not has_ended and flow.active == 0 and has_flag(flow, OF_SCHEDULE)
  local goes_on = not has_ended and (flow.active or 0) > 0 and has_flag(flow, STOPPED)
  if not (has_ended or has_stopped or goes_on) or not string.find(flow.flags, EITHER_OF_SCHEDULE) then
    return
  end
  local uid, slot = schedule_of(flow)
  if not uid then
    return
  end
  local is_cancelled = flow.is_cancelled or has_flag(flow, ENDING_BY_CANCEL)
  local key = schedule_key(uid)
  local known = call('HMGET', key, 'v', 'f', 'h')
  if has_ended then
    call('ZREM', schedule_flows_key(uid), flow.id)
  else
    set_flag(flow, has_stopped and OF_SCHEDULE or STOPPED, false)
    set_flag(flow, has_stopped and STOPPED or OF_SCHEDULE, true)
    add_to_schedule(flow.id, uid, slot, has_stopped and '-' or '')
  end
  if not known[1] then
    return -- it was deleted
  elseif has_stopped or (has_ended and not is_cancelled and has_flag(flow, HAS_GIVEN_UP)) then
    call('HINCRBY', key, 'f', 1)
  elseif has_ended and not is_cancelled and (known[2] or '0') ~= '0' then
    call('HSET', key, 'f', '0')
  end
  if known[3] and not goes_on then
    call('ZADD', schedules_key(), string.format('%d', clock), uid)
  end
end

local function settle_schedules()
  for index = 1, #told_flows do
    tell_schedule(told_flows[index])
  end
end

-- The fields of an event that say which slot a flow is of; "" for one that no schedule fired.
local function slot_fields(of_schedule)
  local uid, slot, before, behind = match(of_schedule or '', '^(%S+) (%d+) (%d+) (%d+)$')
  if not uid then
    return ''
  end
  return ',"schedule":"' .. uid .. '","slot":' .. slot
    .. (before == '0' and '' or ',"previous_slot":' .. before)
    .. (behind == '0' and '' or ',"next_slot":' .. behind)
end
