-- Items of maps: tasks that a flow has more than it was registered with.
--
-- Field "kN" of a map says which are its items, "<first> <how many>", and behind that the map whose items
-- these go along, if they do. Their fields are written in steps, behind the last task, where nobody looks
-- (field "Z": "<map> <who> <first> <how many so far> <ms>"); with the last step they are counted, and are
-- tasks as others, before a map that waits for them. They go to their lanes in bounded steps.
-- needs: base, common_fields, flow_fields, flows, limits, ready, statuses

local MOST_ITEMS_READ = 1000 -- whose results are read together
local MOST_BYTES_READ = 1048576 -- of these, by their mean

-- How many items of a map (the text of its field) it is of which the results are to be read together.
local function items_at_once(flow, text)
  local count = tonumber(match(text, '^%d+ (%d+)'))
  local in_bytes = floor(MOST_BYTES_READ * count / math.max(1, flow.kept or 0))
  return math.max(1, math.min(MOST_ITEMS_READ, in_bytes))
end

-- How many of what a map waited for were given up, where its flow has rules.
local function given_up_of(flow, task)
  local edges = flow[edges_field(task)] or call('HGET', flow.key, edges_field(task))
  return match(edges or '', '^%d+ %d+ %d+ (%d+)') or '0'
end

-- A map (`text`: that of its field) that was held, because too many of its items were given up, is held no
-- more.
local function let_items_start(flow, text)
  local lane = text and field_of(flow, lane_field(match(text, '^%d+')))
  if lane then
    free_window(lane)
  end
end

-- Of the map that the items of another one go along, the number of the first item; nil: they go along none.
local function first_over(flow, along)
  local over = along ~= '' and call('HGET', flow.key, items_field(along))
  return over and tonumber(match(over, '^%d+')) or nil
end

local TAKEN_OVER = '3 0 ' -- how a state begins of what finished without an attempt

-- Pushes up to `most` items from that index (from 1) on, if they wait; of those that go along others only
-- those behind an item that took a result over (others hear of the end of that). The index to go on from, or
-- nil.
local function release_items(flow, text, from, most)
  local first, count, along = match(text, '^(%d+) (%d+) ?(%d*)')
  local last, names = math.min(tonumber(count), from + most - 1), {}
  local over = first_over(flow, along)
  for index = from, last do
    local n, item = #names, digits(first + index - 1)
    names[n + 1], names[n + 2] = lane_field(item), state_field(item)
    names[n + 3] = over and state_field(digits(over + index - 1)) or nil
  end
  local got, width = values_of(flow, names, true), over and 3 or 2
  local common = flow.common ~= false and common_with(flow, first + 0)
  local lane = common and common.lane
  local pushed_items = 0
  for index = from, last do
    local at, item = width * (index - from), digits(first + index - 1)
    local may_start = not over or sub(got[at + 3] or '', 1, 4) == TAKEN_OVER
    local state = flow[state_field(item)] or got[at + 2] or NEVER
    flow[state_field(item)] = state
    local status, lease = WAIT, NO_LEASE
    if state ~= NEVER then
      local stands, _, _, held_by = match(state, STATE)
      status, lease = stands, held_by
    end
    if may_start and status == WAIT and lease == NO_LEASE then
      pushed_items = pushed_items + 1
      push(got[at + 1] or lane, flow, item)
    end
  end
  change_active(flow, pushed_items)
  return last < tonumber(count) and last + 1 or nil
end
