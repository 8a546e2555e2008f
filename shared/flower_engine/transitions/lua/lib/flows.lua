-- Flows under way, read once and written once for each call.
--
-- flow:<flow> is a hash. For the flow: c "<version> <tasks not final> <final ones> <order>", and behind it,
--   if any, flags: p it may have timers_key(), h it is held (paused), w it waits for its start; n, a, z: see places.lua;
--   t its timeout in ms (absent: none), b its start (only of one put back that had ended before it).
-- For task N: mN message for the worker, lN lane, dN dependents "2,3" (absent: none),
--   oN open dependencies (absent: there are less than two, so the first that is satisfied frees it),
--   sN "<status> <attempt> <lost> <lease>" (absent: never started); the lease of a waiting task is "-", or
--     "@<ms>" until its retry is due,
--   pN retry policy and timeouts (absent: none), xN failures (absent: 0), gN progress (absent: none).
-- needs: base, engine_time, events, keys
-- layer: 2
local NEVER = '0 0 0 -'
local STATE = '^(%d+) (%d+) (%d+) (.*)$'
local COUNTERS = '^(%d+) (%d+) (%d+) (%d+) ?(.*)$'
local flows, flow_ids = {}, {}

-- A flow from its counters; `timed`: it may have timers_key(), `held`: nothing of it may start.
local function keep_flow(id, key, counters)
  local v, left, done, order, flags = match(counters, COUNTERS)
  local flow = { id = id, key = key, v = v + 0, left = left + 0, done = done + 0, order = order, flags = flags,
    last = '-', changed = {} }
  if flags ~= '' then
    flow.timed = string.find(flags, 'p', 1, true) ~= nil
    flow.held = string.find(flags, '[hwn]') ~= nil
  end
  flows[id] = flow
  flow_ids[#flow_ids + 1] = id
  return flow
end

-- The flow, or nil when it is not under way; with it the task's state and one more field of the task.
-- STATE takes a state apart: status, attempt, lost, lease.
-- What is known of a flow lies in one table: its counters by name, fields of its hash by theirs.
local function load_task(id, task, field)
  local flow = flows[id]
  local state_name, field_name = 's' .. task, field .. task
  if flow == nil then
    local key = flow_key(id)
    local got = call('HMGET', key, 'c', state_name, field_name)
    if not got[1] then
      flows[id] = false
      return nil
    end
    flow = keep_flow(id, key, got[1])
    local state = got[2] or NEVER
    flow[state_name] = state
    return flow, state, got[3]
  elseif not flow then
    return nil
  end
  local state = flow[state_name]
  if state then
    return flow, state, flow[field_name] or call('HGET', flow.key, field_name)
  end
  local got = call('HMGET', flow.key, state_name, field_name)
  state = got[1] or NEVER
  flow[state_name] = state
  return flow, state, got[2]
end

local function has_flag(flow, flag)
  return string.find(flow.flags, flag, 1, true) ~= nil
end

local function set_flag(flow, flag, is_set)
  flow.flags = string.gsub(flow.flags, flag, '') .. (is_set and flag or '')
  flow.held = string.find(flow.flags, '[hwn]') ~= nil
  flow.dirty = true
end

-- Changes a field of the flow's hash; save_flows writes it.
local function set(flow, name, value)
  flow[name] = value
  local changed = flow.changed
  local n = #changed
  changed[n + 1] = name
  changed[n + 2] = value
end

local function set_state(flow, task, status, attempt, lost, lease)
  set(flow, 's' .. task, status .. ' ' .. attempt .. ' ' .. lost .. ' ' .. lease)
end

-- So many tasks more (or less) run, are ready or retry; counted where places.lua asks for it.
local function change_active(flow, by)
  if flow.flags ~= '' and has_flag(flow, 'a') then
    flow.active = (flow.active or tonumber(call('HGET', flow.key, 'a'))) + by
    set(flow, 'a', digits(flow.active))
  end
end

-- Counts an event of the flow; the version, as digits, that the event carries.
local function next_version(flow)
  flow.v = flow.v + 1
  return digits(flow.v)
end

-- The events are put together in one expression each: Lua hashes and keeps every string it makes.
local at_flow = '","at":' .. now .. ',"flow":"'

-- The fields of an event of this attempt, up to its lease.
local function about(flow, task, attempt, lease)
  return at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"task":' .. task .. ',"attempt":' .. attempt
    .. ',"lease":"' .. lease .. '"'
end

local function counters_of(flow)
  local counters = digits(flow.v) .. ' ' .. digits(flow.left) .. ' ' .. digits(flow.done) .. ' ' .. flow.order
  return flow.flags == '' and counters or counters .. ' ' .. flow.flags
end

-- Writes every loaded flow's changes (`dirty`: only its counters or flags have changed): one HSET a flow. A flow
-- with nothing left ends.
local function save_flows()
  local gone, ended, endings = {}, {}, endings_key()
  for index = 1, #flow_ids do
    local flow = flows[flow_ids[index]]
    if flow.left == 0 then
      local n, version = #gone, digits(flow.v)
      gone[n + 1] = flow.key
      ended[2 * n + 1], ended[2 * n + 2] = ended_key(flow.id), version .. ' ' .. flow.last
      note_old(endings, flow.id .. ' ' .. version)
      if flow.flags ~= '' then
        call('ZREM', timers_key(), 'f:' .. flow.id, 'b:' .. flow.id)
      end
    elseif flow.dirty or #flow.changed > 0 then
      local changed = flow.changed
      local n = #changed
      changed[n + 1] = 'c'
      changed[n + 2] = counters_of(flow)
      call_chunked('HSET', flow.key, changed, CHUNK)
    end
  end
  for first = 1, #gone, CHUNK do
    local last = math.min(first + CHUNK - 1, #gone)
    call('UNLINK', unpack(gone, first, last))
    call('MSET', unpack(ended, 2 * first - 1, 2 * last))
  end
end
