-- A flow as a whole is paused, goes on, or has another priority: what operators do, and what a child takes
-- over from its parent. The event is the caller's.
-- needs: base, child_windows, flow_fields, flows, lanes, places, ready, statuses, tree_notes, whole_flow
-- needs: whole_reading

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
  load_whole(flow, 'places')
  for task = 1, flow.count do
    local known = flow.tasks[task]
    if known.status == WAIT and known.lease == NO_LEASE then
      pull(known.lane, flow, digits(task))
    end
  end
  set_flag(flow, PAUSED, true)
  hand_down(flow, 'p')
end

local function resume_flow(flow)
  load_whole(flow, 'links')
  set_flag(flow, PAUSED, false)
  push_ready(flow)
  hand_down(flow, 'r')
end

local function prioritise_flow(flow, priority)
  load_whole(flow, 'links')
  local ready, other_lanes = find_ready(flow), {}
  for task = 1, flow.count do
    local known, text = flow.tasks[task], digits(task)
    local moved = other_lanes[known.lane]
    if not moved then
      moved = string.gsub(known.lane, '^([^:]*):[^:]*', '%1:' .. priority, 1)
      other_lanes[known.lane] = moved
    end
    local is_ready = ready[task] and known.lease == NO_LEASE
    if moved ~= known.lane then
      if is_ready then
        pull(known.lane, flow, text)
      end
      known.lane = moved
      set(flow, lane_field(text), moved)
      if is_ready then
        push(moved, flow, text)
      end
    elseif is_ready and flow.unreleased and flow.unreleased[task] then
      push(moved, flow, text)
    end
  end
  if has_flag(flow, WITHOUT_PLACE) and not waits_outside(flow) then
    queue_flow(flow, lane_of(flow.l1 or call('HGET', flow.key, 'l1')).workflow, priority)
  end
  hand_down(flow, 'y')
end
