-- A flow as a whole is paused, goes on, or has another priority: what operators do, and what a child takes
-- over from its parent. The event is the caller's.
-- needs: base, child_windows, engine_time, flow_fields, flows, keys, lanes, places, ready, statuses
-- needs: tree_notes, whole_flow, whole_reading

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
-- their tasks as texts behind each.
local function move_to_lane(flow, from, to, members)
  local coming = pushed[from] and {} -- in this call: they are not in the lane yet
  for index = 2, coming and #pushed[from] or 0, 2 do
    coming[pushed[from][index]] = true
  end
  local asked, key = {}, lane_key(from)
  for index = 1, #members, 2 do
    asked[(index + 1) / 2] = members[index]
  end
  local scores = call('ZMSCORE', key, unpack(asked))
  for index = 1, #asked do
    if scores[index] or (coming and coming[asked[index]]) then
      pull(from, flow, members[2 * index], asked[index])
      push(to, flow, members[2 * index], asked[index])
    end
  end
end

-- Of tasks nothing is looked at but their lanes and whether they wait, so the flow is not read as a whole:
-- what a note of it has still to push is pushed to the lane that it has then.
local function prioritise_flow(flow, priority)
  local other_lanes, waits, has_children, count = {}, {}, {}, flow.left + flow.done
  for first = 1, count, CHUNK do
    local last, moving = math.min(count, first + CHUNK - 1), {}
    write_digits(flow, first, last)
    local states, state_names = read_column(flow, state_field(''), first, last)
    local lanes_now, lane_names = read_column(flow, lane_field(''), first, last)
    for index = 1, last - first + 1 do
      local state = flow[state_names[first + index - 1]] or states[index] or NEVER
      local lane_name, text = lane_names[first + index - 1], digits(first + index - 1)
      local lane = flow[lane_name] or lanes_now[index]
      local to = other_lanes[lane]
      if not to then
        to = string.gsub(lane, '^([^:]*):[^:]*', '%1:' .. priority, 1)
        other_lanes[lane] = to
      end
      if waits[state] == nil then
        local status, _, _, lease = match(state, STATE)
        waits[state], has_children[state] = status == WAIT and lease == NO_LEASE, lease == WITH_CHILD
      end
      if to ~= lane then
        set(flow, lane_name, to)
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
    for lane, members in pairs(moving) do
      move_to_lane(flow, lane, other_lanes[lane], members)
    end
  end
  if has_flag(flow, WITHOUT_PLACE) and not waits_outside(flow) then
    queue_flow(flow, lane_of(flow.l1 or call('HGET', flow.key, 'l1')).workflow, priority)
  end
end
