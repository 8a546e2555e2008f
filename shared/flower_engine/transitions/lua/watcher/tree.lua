#!lua flags=allow-oom
-- tree: what is to be done for trees of flows: children follow their parents; which ones are to be begun.
-- needs: base, cancel_flow, child_windows, children, commit, common_fields, engine_time, events
-- needs: flow_fields, flows, held_flow, inputs, keys, lanes, limits, meta, rounds, statuses, tree_notes
--
-- Guarantees: a child that no task awaits any more is cancelled; one whose parent was paused, resumed or
--   given another priority is so, too, and hands it down; each together with its event. A task hears of its
--   child what it does not know yet. A child begins when that of the attempt before has ended. No lease:
--   whoever is given a child to begin is the only one for HANDED_MS, then the next one is, until somebody
--   has begun it (begin_children.lua). Safe to send twice.
-- ARGV: generation, most
-- Reply: {"ok", left, {"<flow>:<task>", attempt, "?" (its child may have ended; else ""), the lane of the
--   task, message, {"<flow>:<task>", its result, ...}, ...}} or {"lost"}; left: "1" if more is to be looked
--   at now. Results are as finish_and_claim gives them. Cost: linear in what it answers, and in the tasks of
--   the children that follow, of which one call takes so many.
local generation, most = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end
local children = make_children()
local HANDED_MS = 1000
local HELD_MS = 1000 -- a task of a flow that is held, or whose last child goes on, is looked at again
local WHOLE_TASKS = 2000
local found, scores, done, whole_tasks, left = {}, {}, {}, 0, MOST_INPUT_BYTES

local function flow_of(id)
  local flow = flows[id]
  if flow == nil then
    local key = flow_key(id)
    local counters = call('HGET', key, COUNTERS)
    flow = counters and keep_flow(id, key, counters) or nil
  end
  return flow and flow.left > 0 and flow or nil
end

local function follow(flow, what)
  local text = parent_of(flow)
  local parent, task = children.awaiting(text)
  if not parent then
    local id = match(text or '', '^%S+')
    -- Of one that is ending the cleanup goes on: another cancel would end it.
    if id and not string.find(flow.flags, ENDING) and (flow_of(id) or call('EXISTS', ended_key(id)) == 1) then
      whole_tasks = whole_tasks + flow.left + flow.done
      cancel_flow(flow, '"parent"', '"no task awaits it any more"')
    end
    return
  end
  local is_paused, pauses = has_flag(flow, PAUSED), has_flag(parent, PAUSED)
  local told = at_flow .. flow.id .. '","v":'
  if pauses and not is_paused then
    whole_tasks = whole_tasks + flow.left + flow.done
    pause_flow(flow)
    append('{"type":"flow.paused' .. told .. next_version(flow) .. ',"by":"parent","reason":""}')
  elseif what == 'r' and is_paused and not pauses then
    whole_tasks = whole_tasks + flow.left + flow.done
    append('{"type":"flow.resumed' .. told .. next_version(flow) .. ',"by":"parent"}')
    resume_flow(flow)
  elseif what == 'y' then
    local priority = lane_of(field_of(parent, lane_field(task))).priority
    whole_tasks = whole_tasks + flow.left + flow.done
    prioritise_flow(flow, priority)
    append('{"type":"flow.prioritised' .. told .. next_version(flow) .. ',"by":"parent","priority":'
      .. priority .. '}')
  end
  flow.dirty = true
  children.tell(flow, true)
end

-- A task that awaits a child: whether its member is to stay, and by when it is to be looked at again.
local function look_at_task(id, task, doubt)
  local flow, state, message = load_task(id, task, message_field(task))
  local status, attempt, _, lease = match(flow and state or NEVER, STATE)
  if flow and flow.left > 0 and status == WAIT and match(lease, AWAITS_END) then
    local goes_on = child_under_way(id, task, attempt)
    if goes_on then
      note_tree(goes_on .. ':0')
    else
      children.cut_off(flow, task, state)
    end
    return nil
  elseif not flow or flow.left == 0 or lease ~= WITH_CHILD then
    return nil
  end
  local child_id = child_of(id, task, attempt)
  local child = flow_of(child_id)
  if child then
    children.tell(child, true)
    return nil
  elseif status ~= WAIT then
    return nil
  end
  local lane = field_of(flow, lane_field(task))
  local window = lane_of(lane).window -- of a map that may be held, as too many of its items were given up
  if flow.held or (window and limit_of('m:' .. window).paused)
    or child_under_way(id, task, attempt - 1) then -- that is cancelled, and may clean up
    return now_ms + HELD_MS
  end
  local is_in_doubt = doubt ~= '' or call('EXISTS', ended_key(child_id)) == 1
  local places = not is_in_doubt and window_of(flow, task)
  if places and not has_place(places, child_id) then
    await_child(flow, task, attempt)
    return nil
  end
  local wanted, results = reads_of_message(message), {}
  if #found > 0 and left <= 0 then
    return now_ms
  elseif #wanted > 0 then
    left = left - add_results(results, flow, wanted, math.huge, true)
  end
  local n = #found
  found[n + 1], found[n + 2], found[n + 3] = id .. ':' .. task, attempt, is_in_doubt and '?' or ''
  found[n + 4], found[n + 6] = lane, results
  found[n + 5] = with_round(message, call('HGET', flow.key, round_field(task)))
  return now_ms + HANDED_MS
end

local members = call('ZRANGE', tree_key(), '-inf', now, 'BYSCORE', 'LIMIT', 0, most)
for index = 1, #members do
  local id, rest = split_member(members[index])
  local task, what = match(rest, '^(%d+)(.*)$')
  local again = now_ms
  if whole_tasks < WHOLE_TASKS then
    if task == '0' then
      local flow = flow_of(id)
      again = flow and follow(flow, what)
    else
      again = look_at_task(id, task, what)
    end
  end
  if again then
    scores[#scores + 1], scores[#scores + 2] = string.format('%d', again), members[index]
  else
    done[#done + 1] = members[index]
  end
end
if #done > 0 then
  call('ZREM', tree_key(), unpack(done))
end
if #scores > 0 then
  call('ZADD', tree_key(), 'XX', unpack(scores))
end
commit()
if #members == 0 then
  call('UNLINK', bell_key('', 'flow')) -- bells that still hang
end
local due = call('ZRANGE', tree_key(), '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)
return { 'ok', #due > 0 and '1' or '0', found }
