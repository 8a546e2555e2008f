-- Windows of maps whose items other flows do: how many of these children go on at once.
--
-- The name of a window is what stands in the lanes of its items, "<most>[t].<flow>.<map>" (see limits.lua); a
-- child has it behind the rest of its field PARENT, and a flag (IN_WINDOW). inside:<window> is a zset of the
-- children that have a place: begun, or to be begun now; outside:<window> of those that wait for one, begun
-- or not; both by the number of their item. A child has its place until it has ended; when nothing goes on in
-- it, it gives that back, and needs another one to go on (places.lua lets them in, lowest items first).
-- rarely used
-- needs: base, common_fields, flow_fields, flows, keys, tree_notes
-- layer: 2
local windows, touched_windows = {}, {}

local function window_named(name)
  local window = windows[name]
  if not window then
    window = { name = name, most = tonumber(match(name, '^%d+')), inside = inside_key(name),
      outside = outside_key(name), flow = match(name, '%.([^.]+)%.'), waits = {} }
    windows[name] = window
    touched_windows[#touched_windows + 1] = window
  end
  return window
end

-- The window in which the task of this lane (its name) has its child; nil: it is in none.
local function window_in(lane)
  local name = match(lane or '', '/[^/:]*/[^/:]*/(%d+t?%.[^/:]+)$')
  return name and window_named(name)
end

-- The window of a task of a flow, if children do it.
local function window_of(flow, task)
  if not string.find(flow.flags, HAS_ITEMS, 1, true) then
    return nil
  end
  local known = flow.tasks and flow.tasks[tonumber(task)]
  return window_in(known and known.lane or field_of(flow, lane_field(task)))
end

-- The window of a child, and the number of its item there.
local function window_of_child(flow)
  local task, name = match(parent_of(flow) or '', '^%S+ (%d+) %d+ %S+ (%S+)$')
  return name and window_named(name), task
end

local function save_waiting(window)
  if window.is_changed then
    local come, gone = {}, {}
    for child, task in pairs(window.waits) do
      if task then
        come[#come + 1], come[#come + 2] = task, child
      else
        gone[#gone + 1] = child
      end
    end
    if #gone > 0 then
      call_chunked('ZREM', window.inside, gone, CHUNK)
      call_chunked('ZREM', window.outside, gone, CHUNK)
    end
    if #come > 0 then
      call_chunked('ZADD', window.outside, come, CHUNK)
    end
    window.waits, window.is_changed = {}, false
  end
end

-- A child waits for a place (`task`: its item), or (nil) for none any more, and has none. It counts from the
-- end of the call on, or from when somebody asks for room.
local function change_waiting(window, child, task)
  if window.waits[child] == false then
    save_waiting(window)
  end
  window.waits[child] = task or false
  window.is_changed = true
end

local function has_place(window, child)
  return window.waits[child] == nil and call('ZSCORE', window.inside, child) and true
end

-- A task awaits a child that is to begin: now, or when the window of its map has a place for it.
local function await_child(flow, task, attempt)
  local window = window_of(flow, task)
  local child = window and child_of(flow.id, task, attempt)
  if window and not has_place(window, child) then
    change_waiting(window, child, task)
  else
    note_tree(flow.id .. ':' .. task)
  end
end

-- A task awaits its child no more: if that has not begun it needs no place.
local function leave_window(flow, task, attempt)
  local window = window_of(flow, task)
  local child = window and child_of(flow.id, task, attempt)
  if window and call('EXISTS', flow_key(child)) == 0 then
    change_waiting(window, child, nil)
  end
end

-- A child goes on again: whether it has a place in its window, or got one; else it waits for one.
local function enters_window(flow)
  local window, task = window_of_child(flow)
  if not window or has_place(window, flow.id) then
    return true
  end
  save_waiting(window)
  if call('ZCARD', window.inside) < window.most and call('ZCARD', window.outside) == 0 then
    call('ZADD', window.inside, task, flow.id)
    return true
  end
  change_waiting(window, flow.id, task)
  return false
end

-- A child has ended, or nothing of it goes on.
local function gives_place(flow)
  local window = window_of_child(flow)
  if window then
    change_waiting(window, flow.id, nil)
  end
end

-- Whether a child waits for a place in its window.
local function waits_outside(flow)
  local window = string.find(flow.flags, IN_WINDOW, 1, true) and window_of_child(flow)
  if window then
    save_waiting(window)
  end
  return window and call('ZSCORE', window.outside, flow.id) and true or false
end
