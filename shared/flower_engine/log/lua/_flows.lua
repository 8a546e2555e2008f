-- Flows under way, read once and written once for each call.
--
-- flow:<flow> is a hash. For the flow: v (version), left (tasks not final), done (final ones), order.
-- For task N: mN message for the worker, lN lane, dN dependents "2,3" (absent: none),
--   oN open dependencies (absent: 0), sN "<status> <attempt> <lost> <lease>" (absent: never started).
local NEVER = '0 0 0 -'
local flows, flow_ids = {}, {}

-- The flow, or nil when it is not under way.
local function load_flow(id)
  local flow = flows[id]
  if flow == nil then
    local key = prefix .. 'flow:' .. id
    local head = call('HMGET', key, 'v', 'left', 'done', 'order')
    if not head[1] then
      flows[id] = false
      return nil
    end
    flow = {
      id = id, key = key, v = tonumber(head[1]), left = tonumber(head[2]), done = tonumber(head[3]),
      order = tonumber(head[4]), state = {}, open = {}, changed = {},
    }
    flows[id] = flow
    flow_ids[#flow_ids + 1] = id
  end
  return flow or nil
end

-- What the flow keeps of a task: its state (status, attempt, lost, lease as strings) and one more field.
local function load_task(flow, task, field)
  local known = flow.state[task]
  if known then
    return known, call('HGET', flow.key, field .. task)
  end
  local got = call('HMGET', flow.key, 's' .. task, field .. task)
  local status, attempt, lost, lease = match(got[1] or NEVER, '^(%d+) (%d+) (%d+) (.*)$')
  known = { status = status, attempt = attempt, lost = lost, lease = lease }
  flow.state[task] = known
  return known, got[2]
end

local function set_state(flow, task, status, attempt, lost, lease)
  flow.state[task] = { status = status, attempt = attempt, lost = lost, lease = lease }
  local changed = flow.changed
  local n = #changed
  changed[n + 1] = 's' .. task
  changed[n + 2] = status .. ' ' .. attempt .. ' ' .. lost .. ' ' .. lease
end

-- Counts the event and gives its head up to the version; the caller adds fields and the closing brace.
local function event_head(kind, now, flow)
  flow.v = flow.v + 1
  return '{"type":"' .. kind .. '","at":' .. now .. ',"flow":"' .. flow.id .. '","v":' .. flow.v
end

local function append(event)
  call('XADD', log_key, '*', 'e', event)
end

-- Writes every loaded flow's changes: one HSET a flow; a flow with nothing left ends.
local function save_flows(now)
  for index = 1, #flow_ids do
    local flow = flows[flow_ids[index]]
    if flow.left == 0 then
      call('UNLINK', flow.key)
      call('SET', prefix .. 'ended:' .. flow.id, flow.v .. ' ' .. flow.last)
      call('RPUSH', prefix .. 'endings', now .. ' ' .. flow.id)
    elseif #flow.changed > 0 then
      local changed = flow.changed
      local n = #changed
      changed[n + 1] = 'v'
      changed[n + 2] = flow.v
      changed[n + 3] = 'left'
      changed[n + 4] = flow.left
      changed[n + 5] = 'done'
      changed[n + 6] = flow.done
      call_chunked('HSET', flow.key, changed, CHUNK)
    end
  end
end
