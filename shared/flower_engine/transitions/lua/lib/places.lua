-- Places: how many flows of a workflow are under way at once.
--
-- flows:<workflow> is a zset of the flows that have a place, by their order, limit or not: its size is what
-- the limit f:<workflow> counts. A flow without one waits in new:<workflow> (flag n), by priority, then by
-- order; nothing of it is in a lane. Where suspended flows are not to count (flag a), field "a" counts the
-- tasks that run, are ready or retry; at 0 the flow gives its place back (flag z) until an operator moves it.
-- A flow that is ending waits for no place: where it has none (flag z), its cleanup goes on without.
-- A child may need a place in the window of a map first (child_windows.lua): while it waits there (flag n,
-- too) it has none of its workflow, so whoever has one of that waits for no window.
-- needs: base, boards, child_windows, fanout_notes, flow_control, flow_fields, flows, keys, lanes
-- needs: statuses, timers, tree_notes, whole_flow, whole_reading
local ADMIT_TASKS = 1000 -- of flows that one call lets in; "admitting" names workflows to go on with, and
-- windows of maps, "m:<window>"
local admitted_tasks = 0

local function lane_of_flow(flow)
  local lane = flow.l1
  if not lane then
    lane = call('HGET', flow.key, 'l1')
    flow.l1 = lane
  end
  return lane_of(lane)
end

-- The limit of flows of a workflow: most, what is done beyond, whether suspended ones count; or nothing.
local function flow_limit(workflow)
  if not has_control then
    return nil
  end
  local limit = call('HGET', limits_key(), 'f:' .. workflow) or ''
  local most, choice, counts_suspended = match(limit, '^(%d+) (%S+) (%d)')
  return tonumber(most), choice, counts_suspended == '1'
end

-- Whether a flow that has a place gives it back when nothing of it goes on.
local function gives_back(flow, most, counts_suspended)
  return (most ~= nil or has_flag(flow, IN_WINDOW)) and not counts_suspended
end

-- The flow waits for a place.
local function queue_flow(flow, workflow, priority)
  set_flag(flow, WITHOUT_PLACE, true)
  call('ZADD', new_flows_key(workflow), string.format('%d', (priority + 20) * TURNS + flow.order), flow.id)
end

-- The flow is to go on: it takes a place, or waits for one (then it is held).
local function seek_place(flow)
  local lane = lane_of_flow(flow)
  local most, _, counts_suspended = flow_limit(lane.workflow)
  local under_way_key = flows_key(lane.workflow)
  set_flag(flow, GAVE_PLACE_BACK, false)
  if has_flag(flow, IN_WINDOW) and not enters_window(flow) then
    local is_to_end = string.find(flow.flags, ENDING) ~= nil
    if is_to_end then
      gives_place(flow)
    end
    set_flag(flow, IS_COUNTED, false)
    set_flag(flow, is_to_end and GAVE_PLACE_BACK or WITHOUT_PLACE, true)
  elseif most and call('ZCARD', under_way_key) >= most and not call('ZSCORE', under_way_key, flow.id) then
    if string.find(flow.flags, ENDING) then
      set_flag(flow, IS_COUNTED, false)
      set_flag(flow, GAVE_PLACE_BACK, true)
      if has_flag(flow, IN_WINDOW) then
        gives_place(flow)
      end
    else
      queue_flow(flow, lane.workflow, lane.priority)
    end
  else
    call('ZADD', under_way_key, flow.order, flow.id)
    set_flag(flow, IS_COUNTED, gives_back(flow, most, counts_suspended))
  end
end

-- Counts the tasks of a whole flow that run, are ready or retry.
local function count_active(flow)
  if not string.find(flow.flags, COUNTS_ACTIVE) then
    return
  end
  local ready, active = find_ready(flow), count_notes(flow)
  for task = 1, flow.count do
    local known = flow.tasks[task]
    if known.status == RUNNING or ready[task] or is_retrying(known) then
      active = active + 1
    end
  end
  set(flow, ACTIVE, digits(active))
  flow.active = active
end

-- Nothing of the flow goes on until an operator moves it.
local function leave_place(flow, under_way_key)
  set_flag(flow, IS_COUNTED, false)
  set_flag(flow, GAVE_PLACE_BACK, true)
  call('ZREM', under_way_key, flow.id)
  if has_flag(flow, IN_WINDOW) then
    gives_place(flow)
  end
end

-- A flow that waited has the places that it needs.
local function let_flow_in(flow, under_way_key, most, counts_suspended)
  load_whole(flow)
  admitted_tasks = admitted_tasks + flow.count
  call('ZADD', under_way_key, flow.order, flow.id)
  set_flag(flow, WITHOUT_PLACE, false)
  set_flag(flow, IS_COUNTED, gives_back(flow, most, counts_suspended))
  local timeout = call('HGET', flow.key, TIMEOUT)
  if timeout and not call('ZSCORE', timers_key(), flow_timer(flow.id)) then
    set_timeout(flow_timer(flow.id), timeout)
  end
  push_ready(flow)
  count_active(flow)
  if flow.active == 0 and has_flag(flow, IS_COUNTED) then
    leave_place(flow, under_way_key)
  end
end

-- A child has a place in its window from here on: it is to begin, or goes on if its workflow has a place.
local function let_child_in(window, child, task)
  local key, flow = flow_key(child), flows[child]
  local counters = not flow and call('HGET', key, COUNTERS)
  if counters then
    flow = keep_flow(child, key, counters)
  end
  if not flow then
    note_tree(window.flow .. ':' .. task)
    admitted_tasks = admitted_tasks + 1
  elseif flow.left > 0 and has_flag(flow, WITHOUT_PLACE) then
    local lane = lane_of_flow(flow)
    local most, _, counts_suspended = flow_limit(lane.workflow)
    local under_way_key = flows_key(lane.workflow)
    if most and call('ZCARD', under_way_key) >= most then
      queue_flow(flow, lane.workflow, lane.priority)
    else
      let_flow_in(flow, under_way_key, most, counts_suspended)
    end
  end
end

-- Lets children in as far as a window has places; whether some are left for later.
local function fill_window(window)
  save_waiting(window)
  while admitted_tasks < ADMIT_TASKS do
    local room = window.most - call('ZCARD', window.inside)
    local most = math.min(room, ADMIT_TASKS - admitted_tasks)
    local waiting = most > 0 and call('ZRANGE', window.outside, 0, most - 1, 'WITHSCORES') or {}
    if #waiting == 0 then
      return false
    end
    local come, gone = {}, {}
    for index = 1, #waiting, 2 do
      come[index], come[index + 1] = waiting[index + 1], waiting[index]
      gone[#gone + 1] = waiting[index]
    end
    call('ZREM', window.outside, unpack(gone))
    call_chunked('ZADD', window.inside, come, CHUNK)
    for index = 1, #waiting, 2 do
      let_child_in(window, waiting[index], waiting[index + 1])
    end
    save_waiting(window)
  end
  return call('ZCARD', window.outside) > 0 and call('ZCARD', window.inside) < window.most
end

-- What became of windows in this call: whoever waits gets the places that there are.
local function settle_windows()
  for index = 1, #touched_windows do
    local window = touched_windows[index]
    if window.is_changed and fill_window(window) then
      call('SADD', admitting_key(), 'm:' .. window.name)
    end
  end
end

-- Lets waiting flows of a workflow in, as far as there are places; what is left for later is noted.
local function admit(workflow)
  if sub(workflow, 1, 2) == 'm:' then
    if not fill_window(window_named(sub(workflow, 3))) then
      call('SREM', admitting_key(), workflow)
    end
    return
  end
  local under_way_key, in_line_key = flows_key(workflow), new_flows_key(workflow)
  while true do
    local most, _, counts_suspended = flow_limit(workflow)
    local id = call('ZRANGE', in_line_key, 0, 0)[1]
    if not id or (most and call('ZCARD', under_way_key) >= most) then
      call('SREM', admitting_key(), workflow)
      return
    elseif admitted_tasks >= ADMIT_TASKS then
      call('SADD', admitting_key(), workflow)
      return
    end
    call('ZREM', in_line_key, id)
    local key = flow_key(id)
    local flow = flows[id]
    local counters = not flow and call('HGET', key, COUNTERS)
    if counters then
      flow = keep_flow(id, key, counters)
    end
    if flow and flow.left > 0 then
      let_flow_in(flow, under_way_key, most, counts_suspended)
    end
  end
end

-- Flows of this call that ended, or of which nothing goes on, give their places back; others get them.
local function settle_places()
  local left = {}
  for index = 1, #flow_ids do
    local flow = flows[flow_ids[index]]
    if flow.unreleased and flow.left > 0 then
      count_active(flow) -- the notes that were counted are gone
    end
    local is_parked = flow.active == 0 and has_flag(flow, IS_COUNTED)
    if (flow.left == 0 or is_parked) and not flow.has_left then
      local workflow = lane_of_flow(flow).workflow
      local ids = left[workflow]
      if not ids then
        ids = {}
        left[workflow] = ids
      end
      ids[#ids + 1] = flow.id
      flow.has_left = flow.left == 0
      if flow.left > 0 then
        leave_place(flow, flows_key(workflow))
      elseif has_flag(flow, WITHOUT_PLACE) then
        call('ZREM', new_flows_key(workflow), flow.id)
      end
      if flow.left == 0 and has_flag(flow, IN_WINDOW) then
        gives_place(flow)
      end
    end
  end
  for workflow, ids in pairs(left) do
    call_chunked('ZREM', flows_key(workflow), ids, CHUNK)
    if flow_limit(workflow) or (has_control and call('EXISTS', new_flows_key(workflow)) == 1) then
      admit(workflow)
    end
  end
  settle_windows()
end
