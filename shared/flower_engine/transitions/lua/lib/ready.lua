-- A task becomes ready, and goes to its lane; or leaves it.
--
-- Within a lane the score puts flows that are further ahead first, then the earlier registered one, then
-- the lower task number: (1023 - steps, capped) * 2^42 + order + place. It stays below 2^53. Steps are tasks
-- that have ended and are no items of maps. The place is the task number; of items all that have as many
-- digits are in one, behind the last task with which the flow was registered: there the number decides.
-- needs: base, boards, lanes, timers
local AHEAD = 2 ^ 42 -- of 1,023 at most

local pushed, pushed_lanes = {}, {}
local to_await = {} -- flow, task, ...: pushed, and in no lane, as they wait for the world; see waits.lua
local OF_THE_WORLD = 64 -- "@", which the name of their lane begins with

-- What was pushed so, to be dealt with now: flow, task, ...
local function taken_to_await()
  local taken = to_await
  to_await = {}
  return taken
end

-- A task became ready: it will go to its lane (or await the world), unless its flow is held. `member`: as the
-- lane has it, if that is there already.
local function push(lane, flow, task, member)
  if flow.held then
    return
  end
  local list = pushed[lane]
  if not list then
    if string.byte(lane) == OF_THE_WORLD then
      local n = #to_await
      to_await[n + 1], to_await[n + 2] = flow.id, task
      return
    end
    lane_of(lane) -- a window is known then
    list = { lowest = 2 ^ 53, n = 0 }
    pushed[lane] = list
    pushed_lanes[#pushed_lanes + 1] = lane
  end
  if flow.timed then
    start_queue_timer(flow, task)
  end
  local order = flow.order_number
  if not order then
    order = tonumber(flow.order)
    flow.order_number = order
  end
  local steps, defined = flow.as_of or flow.steps or flow.done, flow.defined
  local place = defined and task + 0 > defined and defined + #task or task
  local score = (steps < 1023 and 1023 - steps or 0) * AHEAD + order + place
  if score < list.lowest then
    list.lowest = score
  end
  local n = list.n
  list[n + 1], list[n + 2], list.n = score, member or flow.id .. ':' .. task, n + 2
end

-- The same for many tasks of a flow, numbers whose digits are written.
local function push_many(lane, flow, tasks)
  local first = tasks[1]
  if first then
    push(lane, flow, digits(first))
  end
  local list = pushed[lane]
  if not list or flow.held or flow.timed then
    for index = 2, #tasks do
      push(lane, flow, digits(tasks[index]))
    end
    return
  end
  local steps, defined, id = flow.as_of or flow.steps or flow.done, flow.defined, flow.id .. ':'
  local base, numbers = (steps < 1023 and 1023 - steps or 0) * AHEAD + flow.order_number, digits_of
  local n, lowest = list.n, list.lowest
  for index = 2, #tasks do
    local task = tasks[index]
    local text = numbers[task]
    local score = base + (defined and task > defined and defined + #text or task)
    if score < lowest then
      lowest = score
    end
    list[n + 1], list[n + 2] = score, id .. text
    n = n + 2
  end
  list.n, list.lowest = n, lowest
end

-- Puts the pushed tasks into their lanes and makes each lane visible to claims.
local function save_lanes()
  for index = 1, #pushed_lanes do
    local name = pushed_lanes[index]
    local list = pushed[name]
    local lane = lane_of(name)
    call_chunked('ZADD', lane.key, list, CHUNK)
    show(lane, board_of(lane), list.lowest)
  end
end

-- Of what was pushed only these lanes are still to be saved and rung for.
local function keep_pushed(names)
  local kept = {}
  for index = 1, #names do
    kept[names[index]] = pushed[names[index]]
  end
  pushed, pushed_lanes = kept, names
end

-- Takes a task out of its lane, if it is there; mend_lanes must follow.
local pulled = {}
local function pull(lane, flow, task, member)
  local list = pulled[lane]
  if not list then
    if string.byte(lane) == OF_THE_WORLD then
      return
    end
    list = { n = 0 }
    pulled[lane] = list
  end
  local n = list.n + 1
  list[n], list.n = member or flow.id .. ':' .. task, n
  if flow.timed then
    drop_timer(queue_timer(flow.id, task))
  end
end

-- The same for many tasks of a flow, texts. `are_there`: each of them is in the lane, which is dropped if
-- there is nothing else in it.
local function pull_many(lane, flow, tasks, are_there)
  local first = tasks[1]
  local list, id = pulled[lane], flow.id .. ':'
  if first and not list and are_there and not flow.held and not flow.timed and not pushed[lane] then
    pulled[lane] = { n = 0, all = tasks, id = id }
    return
  elseif first then
    pull(lane, flow, first)
  end
  list = pulled[lane]
  if not list or flow.timed then -- what awaits the world is in no lane
    for index = 2, #tasks do
      pull(lane, flow, tasks[index])
    end
    return
  end
  local n = list.n
  for index = 2, #tasks do
    n = n + 1
    list[n] = id .. tasks[index]
  end
  list.n = n
end

-- Removes what was pulled, and makes claims see each lane as it is then.
local function mend_lanes()
  for name, list in pairs(pulled) do
    local lane, all = lane_of(name), list.all
    if all and list.n == 0 and not pushed[name] and call('ZCARD', lane.key) == #all then
      call('UNLINK', lane.key)
    else
      for at = 1, all and #all or 0 do
        list[list.n + at] = list.id .. all[at]
      end
      call_chunked('ZREM', lane.key, list, CHUNK)
    end
    mend(lane, board_of(lane))
  end
end
