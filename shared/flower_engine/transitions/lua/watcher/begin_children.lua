#!lua
-- begin_children: children of tasks that await them begin. Refused as a whole when memory is short.
-- needs: awaiting, base, child_windows, commit, common_fields, events, failed_for_good, flow_fields, flows
-- needs: keys, lanes, meta, next_rounds, registering, statuses, tree_notes, waits
--
-- Guarantees: a child is registered once, however often it is handed in, while its task awaits it in this
--   attempt, with the place and the priority of its parent; it waits in line where its workflow has a limit,
--   whatever that says of others; none begins for which the window of its map has no place (it is handed out
--   again when there is one). A task whose child cannot begin is suspended, and what its definition says
--   of failures follows. Safe to send twice.
-- ARGV: generation, number of plans, the plans as register.lua has them, then for each child:
--   "<flow>:<task>", attempt, lane of the task as it was handed out, "p" (it begins) | "r" (it had
--   ended, and returned this) | "b" (the same, and that is in a blob) | "a" (it had ended, and asked for
--   another round) | "x" (it cannot begin), number of its plan | the JSON of its result | of the BlobRef | by
--   when that round begins (0: at once) and the JSON of what it is given | of the error, more fields of its
--   event (JSON)
-- Reply: {"ok", word for each} or {"lost"}; words: ok | stale | anew, as register has it. Cost: linear in the
--   fields that come with the call, and in roots; callers keep a call to a few hundred tasks.
local generation, plan_count = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end
local plans, at = read_plans(plan_count, ARGV, 3)
local words = { 'ok' }

-- The lane of a task now, if it is of the priority still that it was handed out with.
local function lane_as_before(flow, task, lane)
  local is_now = field_of(flow, lane_field(task))
  return is_now and lane_of(is_now).priority == lane_of(lane).priority and is_now
end

local function begin_child(flow, task, attempt, lane, plan, extra)
  local id, window = child_of(flow.id, task, attempt), window_in(lane)
  if lacks_fields(plan, id) then
    return 'anew'
  end
  call('ZREM', tree_key(), flow.id .. ':' .. task, flow.id .. ':' .. task .. '?')
  if window and not has_place(window, id) then
    await_child(flow, task, attempt)
    return 'stale'
  end
  local trunk = match(parent_of(flow) or '', '^%S+ %S+ %S+ (%S+)') or flow.id
  local text = flow.id .. ' ' .. task .. ' ' .. attempt .. ' ' .. trunk
    .. (window and ' ' .. window.name or '')
  local round = match(call('HGET', flow.key, round_field(task)) or '', '^%d+')
  register_flow(id, plan, '', nil,
    extra .. parent_fields(text) .. (round and ',"parent_round":' .. round or ''), nil,
    { flow = flow, text = text, window = window })
  return 'ok'
end

for index = at, #ARGV, 6 do
  local member, wanted, lane, says, payload, extra = unpack(ARGV, index, index + 5)
  local id, task = split_member(member)
  local flow, state = load_task(id, task, wait_field(task))
  local status, attempt, lost, lease = match(flow and state or NEVER, STATE)
  local word, is_now = 'ok', flow and lane_as_before(flow, task, lane)
  if not flow or flow.left == 0 or flow.held or attempt ~= wanted or lease ~= WITH_CHILD or status ~= WAIT
    or not is_now then
    word = 'stale'
  elseif says == 'p' then
    word = begin_child(flow, task, attempt, is_now, plans[tonumber(payload)], extra)
  elseif says == 'r' or says == 'b' then
    end_wait(flow, task, state, '"child"', payload, nil, nil, says == 'b')
  elseif says == 'a' then
    call('ZREM', tree_key(), id .. ':' .. task, id .. ':' .. task .. '?')
    begin_next_child(flow, task, attempt, match(payload, '^(%d+) (.*)$'))
  else
    stop_awaiting(flow, task, lease)
    set_state(flow, task, SUSPEND, attempt, lost, NO_LEASE)
    change_active(flow, -1)
    append('{"type":"task.overdue' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
      .. ',"error":' .. payload .. '}')
    hold_waiting(flow, task, attempt, lost, payload)
  end
  words[#words + 1] = word
end
save_registered()
commit()
return words
