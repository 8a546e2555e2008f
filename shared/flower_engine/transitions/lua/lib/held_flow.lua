-- A flow as a whole is paused, goes on, or has another priority: what operators do, and what a child takes
-- over from its parent. The event is the caller's.
-- needs: base, bells, boards, child_windows, common_changes, common_fields, engine_time, flow_fields, flows
-- needs: keys, lanes, places, ready, statuses, tree_notes, whole_flow, whole_reading

-- Its children are to do the same: "p", "r" or "y", see tree_notes.lua.
local function hand_down(flow, what)
  for task = 1, flow.count do
    local known = flow.tasks[task]
    if known.lease == WITH_CHILD then
      note_tree(child_of(flow.id, digits(task), known.attempt) .. ':0' .. what)
    end
  end
end

local function pause_flow(flow)
  load_whole(flow, 'lanes')
  for task = 1, flow.count do
    local known = flow.tasks[task]
    if known.status == WAIT and known.lease == NO_LEASE then
      pull(known.lane, flow, digits(task))
    end
  end
  set_flag(flow, PAUSED, true)
  hand_down(flow, 'p')
end

-- Those that have not begun, as the flow was held, are looked at now, and not when it is their turn again.
local function begin_held_children(flow)
  local members = {}
  for task = 1, flow.count do
    local known = flow.tasks[task]
    if known.lease == WITH_CHILD and known.status == WAIT then
      local member, n = flow.id .. ':' .. digits(task), #members
      members[n + 1], members[n + 2], members[n + 3], members[n + 4] = now, member, now, member .. '?'
    end
  end
  for first = 1, #members, CHUNK do
    call('ZADD', tree_key(), 'XX', unpack(members, first, math.min(#members, first + CHUNK - 1)))
  end
end

local function resume_flow(flow)
  load_whole(flow, 'links')
  set_flag(flow, PAUSED, false)
  push_ready(flow)
  hand_down(flow, 'r')
  begin_held_children(flow)
end

-- Moves those of some waiting tasks that are in a lane to another one: `members` as lanes have them, with
-- their tasks as texts behind each. A lane in which nothing else is becomes the other, if that is empty.
local function move_to_lane(flow, from, to, members)
  local coming = pushed[from] and {} -- in this call: they are not in the lane yet
  for index = 2, coming and #pushed[from] or 0, 2 do
    coming[pushed[from][index]] = true
  end
  local key, to_key, scores, found = lane_key(from), lane_key(to), {}, 0
  for first = 1, members.n, 2 * CHUNK do
    local asked = {}
    for index = first, math.min(members.n, first + 2 * CHUNK - 2), 2 do
      asked[(index - first) / 2 + 1] = members[index]
    end
    local got = call('ZMSCORE', key, unpack(asked))
    for index = 1, #asked do
      local is_there = got[index] and true or false
      scores[#scores + 1], found = is_there, is_there and found + 1 or found
    end
  end
  if found > 0 and not coming and not pushed[to] and not pulled[from] and not flow.timed and not flow.held
    and call('ZCARD', key) == found and call('EXISTS', to_key) == 0 then
    call('RENAME', key, to_key)
    local lane, best = lane_of(to), call('ZRANGE', to_key, 0, 0, 'WITHSCORES')[2]
    show(lane, board_of(lane), tonumber(best))
    mend(lane_of(from), board_of(lane_of(from)))
    ring_bells(lane.queue, lane.program, found)
    return
  end
  for index = 1, #scores do
    local member, text = members[2 * index - 1], members[2 * index]
    if scores[index] or (coming and coming[member]) then
      pull(from, flow, text, member)
      push(to, flow, text, member)
    end
  end
end

local function with_priority(lane, priority)
  return (string.gsub(lane, '^([^:]*):[^:]*', '%1:' .. priority, 1))
end

-- Items that have their lane in common have another one together.
local function change_common_priority(flow, priority)
  for _, one in ipairs(common_of(flow) or {}) do
    change_common_lane(flow, one, with_priority(one.lane, priority))
  end
end

-- Of tasks nothing is looked at but their lanes and whether they wait, so the flow is not read as a whole:
-- what a note of it has still to push is pushed to the lane that it has then.
local function prioritise_flow(flow, priority)
  local other_lanes, waits, has_children, count = {}, {}, {}, flow.left + flow.done
  local moving, written, at = {}, {}, 0
  for first = 1, count, CHUNK do
    local last = math.min(count, first + CHUNK - 1)
    write_digits(flow, first, last)
    local states, state_names = read_column(flow, state_field(''), first, last)
    local lane_names = {}
    for index = 1, last - first + 1 do
      lane_names[index] = lane_field(digits(first + index - 1))
    end
    local lanes_now = values_of(flow, lane_names, true)
    for index = 1, last - first + 1 do
      local state = flow[state_names[first + index - 1]] or states[index] or NEVER
      local lane_name, text = lane_names[index], digits(first + index - 1)
      local own = flow[lane_name] or lanes_now[index]
      local lane = own or common_with(flow, first + index - 1).lane
      local to = other_lanes[lane]
      if not to then
        to = with_priority(lane, priority)
        other_lanes[lane] = to
      end
      if waits[state] == nil then
        local status, _, _, lease = match(state, STATE)
        waits[state], has_children[state] = status == WAIT and lease == NO_LEASE, lease == WITH_CHILD
      end
      if to ~= lane then
        if flow[lane_name] then
          set(flow, lane_name, to)
        elseif own then
          written[at + 1], written[at + 2] = lane_name, to
          at = at + 2
        end
        if waits[state] and (not flow.held or has_flag(flow, EMPTYING)) then
          local members = moving[lane]
          if not members then
            members = { n = 0 }
            moving[lane] = members
          end
          local n = members.n
          members[n + 1], members[n + 2], members.n = flow.id .. ':' .. text, text, n + 2
        end
      end
      if has_children[state] then
        note_tree(child_of(flow.id, text, select(2, match(state, STATE))) .. ':0y')
      end
    end
  end
  write_many(flow, written, at)
  change_common_priority(flow, priority)
  for lane, members in pairs(moving) do
    move_to_lane(flow, lane, other_lanes[lane], members)
  end
  if has_flag(flow, WITHOUT_PLACE) and not waits_outside(flow) then
    queue_flow(flow, lane_of(flow.l1 or call('HGET', flow.key, 'l1')).workflow, priority)
  end
end
