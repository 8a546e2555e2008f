#!lua flags=allow-oom
-- restore: a recovery puts flows back as their events left them.
-- needs: awaiting, base, commit, engine_time, events, flow_fields, flows, keys, places, scheduled
-- needs: statuses, timers, tree_notes, whole_flow, whole_reading, whole_rules
--
-- Guarantees: a flow's hash, the events that its recovery adds (what ran waits again), and each of its tasks
--   where it waits (lane, timer, its workflow's line) appear together; a flow is put back once, however often
--   the call is sent. Limits and places hold as for flows that come in one after the other.
-- ARGV: generation that is being made, for each flow: flow id, due time of its timeout in ms (""), number of
--   events, events (JSON), number of fields, the fields of its hash (name, value...)
-- Reply: {"ok"} or {"lost"}. Cost: linear in the flows' tasks and edges.
local generation = unpack(ARGV, 1, 1)
if call('HGET', meta_key(), 'recovering') ~= generation then
  return { 'lost' }
end

-- Puts a flow back; its fields are ARGV from first to last.
local function restore(id, due, first, last)
  local key = flow_key(id)
  for step = first, last, CHUNK do
    call('HSET', key, unpack(ARGV, step, math.min(last, step + CHUNK - 1)))
  end
  local flow = keep_flow(id, key, call('HGET', key, COUNTERS))
  flow.counted = flow.kept and 0
  load_whole(flow)
  if has_flag(flow, BEFORE_START) then
    call('ZADD', timers_key(), call('HGET', key, START), start_timer(id))
  else
    seek_place(flow)
    if due ~= '' and not has_flag(flow, WITHOUT_PLACE) then
      set_timeout(flow_timer(id), due - now_ms)
    end
  end
  for task = 1, flow.count do
    local known = flow.tasks[task]
    if is_retrying(known) then
      call('ZADD', timers_key(), sub(known.lease, 2), retry_timer(id, digits(task)))
    elseif known.lease == WITH_CHILD then
      note_tree(id .. ':' .. digits(task) .. '?')
    elseif is_away(known) then
      place_awaiting(flow, digits(task), known.lease)
    end
    if flow.ruled and known.status == SUSPEND then
      local given_up = call('HGET', key, given_up_field(digits(task)))
      if given_up then
        set_timeout(hold_timer(id, digits(task)), given_up - now_ms)
      end
    end
  end
  if flow.ruled then -- what the lost log had still to pass over
    redecide(flow, {})
  else
    push_ready(flow)
    count_active(flow)
  end
  if string.find(flow.flags, EITHER_OF_SCHEDULE) then
    local uid, slot = schedule_of(flow)
    local is_stopped = flow.active == 0
    set_flag(flow, EITHER_OF_SCHEDULE, false)
    set_flag(flow, is_stopped and STOPPED or OF_SCHEDULE, true)
    add_to_schedule(id, uid, slot, is_stopped and '-' or '')
  end
  if string.find(flow.flags, EITHER_CHILD) then
    local is_stopped = flow.active == 0
    set_flag(flow, EITHER_CHILD, false)
    set_flag(flow, is_stopped and CHILD_STOPPED or IS_CHILD, true)
    note_tree(id .. ':0')
  end
  flow.dirty = true
end

local at = 2
while at <= #ARGV do
  local id, due, events = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local first = at + 4 + events
  local last = first - 1 + tonumber(ARGV[first - 1])
  if call('EXISTS', flow_key(id)) == 0 then
    for index = at + 3, at + 2 + events do
      append(ARGV[index])
    end
    restore(id, due, first, last)
  end
  at = last + 1
end
commit()
return { 'ok' }
