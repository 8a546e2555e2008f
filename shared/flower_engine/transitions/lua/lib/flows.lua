-- Flows under way, read once and written once for each call.
--
-- What the fields of a flow's hash are stands in flow_fields.lua.
-- needs: base, common_fields, engine_time, events, flow_fields, keys, timers
-- layer: 2
local COUNTED = '^(%d+) (%d+) (%d+) (%d+) ?(.*)$'
local flows, flow_ids = {}, {}
local told_flows = {} -- those of this call of which a schedule, or the task of a parent, is to hear

-- A flow from its counters; `timed`: it may have timers, `held`: nothing of it may start, `ruled`: it has
-- rules, `kept`: bytes of
-- results that it keeps (nil: it has no data, see kept_results.lua), `counted`: what the partition's count
-- has of them. `defined`, `steps`: see count_end (nil: it has no items). `flags` are the others.
local function keep_flow(id, key, counters)
  local v, left, done, order, flags = match(counters, COUNTED)
  local flow = { id = id, key = key, v = v + 0, left = left + 0, done = done + 0, order = order,
    flags = flags, last = NO_LEASE, changed = {}, changes = 0, common = false }
  if flags ~= '' then
    local first, last, kept = string.find(flags, HAS_DATA)
    if first then
      flow.kept, flow.counted = kept + 0, kept + 0
      flags = sub(flags, 1, first - 1) .. sub(flags, last + 1)
      flow.flags = flags
    end
    if flags ~= '' then
      local from, to, defined, steps, counted = string.find(flags, COUNTS_STEPS)
      if from then
        flags = sub(flags, 1, from - 1) .. sub(flags, to + 1)
        flow.flags = flags
        if counted + 0 == flow.done then
          flow.defined, flow.steps = defined + 0, steps + 0
        end
      end
      flow.timed = string.find(flags, MAY_HAVE_TIMERS, 1, true) ~= nil
      flow.held = string.find(flags, HELD) ~= nil
      flow.ruled = string.find(flags, HAS_RULES, 1, true) ~= nil
      if string.find(flags, HAS_ITEMS, 1, true) then
        flow.common = nil -- not asked yet
      end
    end
    if string.find(flags, IS_TOLD_OF) then
      told_flows[#told_flows + 1] = flow
    end
  end
  flows[id] = flow
  flow_ids[#flow_ids + 1] = id
  return flow
end

-- The flow, or nil when it is not under way; with it the task's state and one more field of the task.
-- STATE takes a state apart: status, attempt, lost, lease.
-- What is known of a flow lies in one table: its counters by name, fields of its hash by theirs.
local function load_task(id, task, field_name)
  local flow = flows[id]
  local state_name = state_field(task)
  if flow == nil then
    local key = flow_key(id)
    local got = call('HMGET', key, COUNTERS, state_name, field_name)
    if not got[1] then
      flows[id] = false
      return nil
    end
    flow = keep_flow(id, key, got[1])
    local state = got[2] or NEVER
    flow[state_name] = state
    return flow, state, got[3] or (flow.common ~= false and common_field(flow, field_name))
  elseif not flow then
    return nil
  end
  local state = flow[state_name]
  if state then
    local value = flow[field_name]
    if value == nil then
      value = call('HGET', flow.key, field_name)
        or flow.common ~= false and common_field(flow, field_name)
    end
    return flow, state, value
  end
  local got = call('HMGET', flow.key, state_name, field_name)
  state = got[1] or NEVER
  flow[state_name] = state
  return flow, state, got[2] or (flow.common ~= false and common_field(flow, field_name))
end

-- Whose child it is, as PARENT has it; nil: nobody's.
local function parent_of(flow)
  local text = flow[PARENT]
  if text == nil then
    text = call('HGET', flow.key, PARENT)
    flow[PARENT] = text
  end
  return text or nil
end

local function has_flag(flow, flag)
  return string.find(flow.flags, flag, 1, true) ~= nil
end

local function set_flag(flow, flag, is_set)
  flow.flags = string.gsub(flow.flags, flag, '') .. (is_set and flag or '')
  flow.counts_active = nil
  flow.held = string.find(flow.flags, HELD) ~= nil
  flow.dirty = true
end

-- Changes a field of the flow's hash; save_flows writes it.
local function set(flow, name, value)
  flow[name] = value
  local changed, n = flow.changed, flow.changes -- counted: the length of a long list is searched for
  changed[n + 1], changed[n + 2] = name, value
  flow.changes = n + 2
end

-- The same for what changes again and again in one call: only what it says in the end is written.
local function set_again(flow, name, value)
  flow[name] = value
  local again = flow.again
  if not again then
    again = {}
    flow.again = again
  end
  again[name] = true
end

-- A task is final (`by`: 1), or no more (-1). How far ahead a flow is goes by its steps, the final ones of
-- the `defined` tasks that it was registered with: a map counts as one, and its items do not.
local function count_end(flow, task, by)
  flow.left, flow.done = flow.left - by, flow.done + by
  if flow.steps and task + 0 <= flow.defined then
    flow.steps = flow.steps + by
  end
end

-- The same of so many tasks, which are final now.
local function count_ends(flow, tasks, count)
  flow.left, flow.done = flow.left - count, flow.done + count
  local steps, defined = 0, flow.defined
  for index = 1, flow.steps and count or 0 do
    if tasks[index] + 0 <= defined then
      steps = steps + 1
    end
  end
  flow.steps = flow.steps and flow.steps + steps
end

local function set_state(flow, task, status, attempt, lost, lease)
  set(flow, state_field(task), status .. ' ' .. attempt .. ' ' .. lost .. ' ' .. lease)
end

-- So many tasks more (or less) run, are ready or retry; counted where places.lua or scheduled.lua asks for
-- it.
local function change_active(flow, by)
  local counts = flow.counts_active
  if counts == nil then
    counts = flow.flags ~= '' and string.find(flow.flags, COUNTS_ACTIVE) ~= nil
    flow.counts_active = counts
  end
  if counts then
    flow.active = (flow.active or tonumber(call('HGET', flow.key, ACTIVE))) + by
    set_again(flow, ACTIVE, digits(flow.active))
  end
end

-- Writes fields of many tasks of a flow at once, names and values; not those that this call has set before:
-- these wait for save_flows. To keep in mind so many takes longer than to read again the few that somebody
-- asks for.
local function write_many(flow, fields, count)
  for first = 1, count, CHUNK do
    call('HSET', flow.key, unpack(fields, first, math.min(count, first + CHUNK - 1)))
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
  return at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"task":' .. task
    .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. '"'
end

local function counters_of(flow)
  local counters = digits(flow.v) .. ' ' .. digits(flow.left) .. ' ' .. digits(flow.done) .. ' ' .. flow.order
  local flags = flow.flags
  if flow.steps then
    flags = flags .. steps_flag(digits(flow.defined), digits(flow.steps), digits(flow.done))
  end
  if flow.kept then
    return counters .. ' ' .. flags .. data_flag(digits(flow.kept))
  end
  return flags == '' and counters or counters .. ' ' .. flags
end

-- Writes every loaded flow's changes (`dirty`: only its counters or flags have changed): one HSET a flow. A
-- flow with nothing left ends.
local function save_flows()
  local gone, ended, endings = {}, {}, endings_key()
  for index = 1, #flow_ids do
    local flow = flows[flow_ids[index]]
    if flow.left == 0 then
      local n, version = #gone, digits(flow.v)
      gone[n + 1] = flow.key
      ended[2 * n + 1], ended[2 * n + 2] = ended_key(flow.id), version .. ' ' .. flow.last
      note_old(endings, flow.id .. ' ' .. version)
      if string.find(flow.flags, MAY_TICK) then
        call('ZREM', timers_key(), flow_timer(flow.id), start_timer(flow.id), lanes_timer(flow.id))
      end
    elseif flow.dirty or flow.again or flow.changes > 0 then
      local changed, n = flow.changed, flow.changes
      if flow.again then
        for name in pairs(flow.again) do
          changed[n + 1], changed[n + 2] = name, flow[name]
          n = n + 2
        end
      end
      if flow.common and flow.common.is_changed then
        changed[n + 1], changed[n + 2] = COMMON, common_text(flow.common)
        n = n + 2
      end
      changed[n + 1] = COUNTERS
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
