#!lua flags=allow-oom
-- snapshot: flows under way are written into the log as they stand, for a Postgres that lost what led there.
-- needs: awaiting, base, commit, due, engine_time, events, flow_fields, flows, keys, lanes, meta
-- needs: scheduled, signals, statuses, suspects, timers, tree_notes, whole_flow, whole_reading
--
-- Guarantees: the event says what the flow's hash says at that moment and follows from no event before it;
--   nothing else changes. A flow that is not under way (any more) is passed over. Sent twice, it says the
--   same twice.
-- ARGV: generation, most tasks (one flow is always written), for each flow: id, more fields of its event
--   (JSON)
-- Reply: {"ok", how many of the flows were dealt with} or {"lost"}. Cost: linear in the tasks written.
local generation, most_tasks = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end

-- A field with the text of a lane's part, "" where there is none.
local function named(name, part)
  return (part or '') == '' and '' or ',"' .. name .. '":' .. cjson.encode(unescaped(part))
end

local function counted(name, count)
  return count == '0' and '' or ',"' .. name .. '":' .. count
end

-- Who runs a task: nobody knows, where its lease lapsed or is not held yet.
local function worker_of(lane, lease)
  local pending = redis.pcall('XPENDING', work_key(lane.queue), 'workers', lease, lease, 1)
  return not pending.err and pending[1] and ',"worker":' .. cjson.encode(pending[1][2]) or ''
end

-- A result that is kept, as the event has it.
local function told_result(payload)
  if not payload or payload == '' then
    return ''
  end
  return (sub(payload, 1, 1) == '@' and ',"blob":' or ',"result":') .. sub(payload, 2)
end

-- How a task of a flow with rules has ended, and which of its dependencies it began with.
local function told_rules(known)
  local used = known.edges and match(known.edges, '!([%d,]+)$')
  local kind = known.vanished and VANISHED or known.kind
  kind = kind and ',"ended_as":"' .. kind .. '"' or ''
  return kind .. (used and ',"used":[' .. used .. ']' or '')
end

local function told(known, message, failures, progress, policy, result, votes, round, earlier)
  local lane = lane_of(plain_lane(known.lane))
  local fair_key = match(lane.share, '^[^:]*:[^:]*:[^/]*/(.*)$')
  local lease = ''
  if is_retrying(known) then
    lease = ',"due_ms":' .. sub(known.lease, 2)
  elseif known.lease == WITH_CHILD then -- it awaits its child, or is held because of it
    lease = ',"awaiting":"flow"'
  elseif is_away(known) then
    local kind, until_ms = match(known.lease, AWAITED)
    lease = ',"awaiting":"' .. kind .. '"' .. counted('until_ms', until_ms)
      .. (votes and ',"votes":[' .. votes .. ']' or '')
  elseif known.lease ~= NO_LEASE then
    lease = ',"lease":"' .. known.lease .. '"'
  end
  return '{"message":' .. message .. ',"queue":' .. cjson.encode(unescaped(match(lane.queue, '^@?(.*)$')))
    .. ',"priority":' .. lane.priority .. ',"dependents":[' .. (known.dependents or '') .. '],"status":'
    .. known.status
    .. counted('attempt', known.attempt) .. counted('lost', known.lost)
    .. counted('failures', failures or '0') .. lease
    .. (known.status == RUNNING and worker_of(lane, known.lease) or '')
    .. (lane.units > 1 and ',"units":' .. digits(lane.units) or '') .. named('fair_key', fair_key)
    .. named('workflow_key', lane.workflow_key) .. named('program_key', lane.program_key)
    .. named('window', lane.window)
    .. (policy and ',"policy":[' .. string.gsub(policy, ' ', ',') .. ']' or '')
    .. (progress and ',"progress":' .. progress or '')
    .. (round and string.gsub(round, '^(%d+) (.*)$', ',"round":%1,"given":%2') or '')
    .. told_result(result) .. told_rules(known)
    .. (known.items and ',"items":[' .. digits(known.items.first) .. ','
      .. digits(known.items.last - known.items.first + 1) .. ']'
      .. (known.items.along and ',"along":' .. digits(known.items.along) or '') or '')
    .. (earlier and ',"earlier":' .. earlier or '') .. '}'
end

-- The signals that a flow keeps, and the ids of all that it got.
local function told_signals(flow)
  local kept, ids = {}, {}
  for _, signal in ipairs(kept_signals(flow)) do
    local id, by, payload = match(call('HGET', flow.key, signal_field(signal[1])), '^(.-)\n(.-)\n(.*)$')
    local key = unescaped(signal[3])
    kept[#kept + 1] = '{"name":' .. cjson.encode(unescaped(signal[2]))
      .. (key == '' and '' or ',"key":' .. cjson.encode(key)) .. ',"id":' .. id .. ',"by":' .. by
      .. ',"payload":' .. payload .. '}'
  end
  for _, name in ipairs(call('HKEYS', flow.key)) do
    if sub(name, 1, 1) == 'i' then
      ids[#ids + 1] = sub(name, 2)
    end
  end
  return (#kept > 0 and ',"signals":[' .. concat(kept, ',') .. ']' or '')
    .. (#ids > 0 and ',"signal_ids":' .. cjson.encode(ids) or '')
end

-- Which task asked for another round of the flow, and what it gives to it.
local function told_again(key)
  local task, attempt, due, given = match(call('HGET', key, AGAIN) or '', '^(%d+) (%d+) (%d+) (.*)$')
  return task and ',"again":[' .. task .. ',' .. attempt .. ',' .. due .. '],"again_given":' .. given or ''
end

local function write(id, key, extra)
  local flow = keep_flow(id, key, call('HGET', key, COUNTERS))
  load_whole(flow, 'leases')
  push_unreleased(flow)
  local returns, returned = match(call('HGET', key, RETURNED) or '', '^(%d+) (.*)$')
  local tasks = {}
  for task = 1, flow.count do
    local text = digits(task)
    local got = call('HMGET', key, message_field(text), failures_field(text), progress_field(text),
      policy_field(text), result_field(text), votes_field(text), round_field(text), earlier_field(text))
    if text == returns then
      got[5] = sub(returned, 1, 1) == '@' and returned or '=' .. returned
    end
    tasks[task] = told(flow.tasks[task], got[1], got[2], got[3], got[4], got[5], got[6], got[7],
      got[8])
  end
  local start = call('ZSCORE', timers_key(), start_timer(id))
  local timeout, due = call('HGET', key, TIMEOUT), call('ZSCORE', timers_key(), flow_timer(id))
  append('{"type":"flow.snapshot","at":' .. now .. ',"flow":"' .. id
    .. '","v":' .. next_version(flow) .. ',"workflow":'
    .. cjson.encode(unescaped(lane_of(plain_lane(flow.tasks[1].lane)).workflow)) .. ',"order":' .. flow.order
    .. ',"tasks":[' .. concat(tasks, ',') .. ']' .. (timeout and ',"timeout_ms":' .. timeout or '')
    .. (due and ',"timeout_due_ms":' .. string.format('%d', now_ms + due_in(due)) or '')
    .. (start and ',"start_ms":' .. string.format('%d', start) or '')
    .. (has_flag(flow, PAUSED) and ',"paused":true' or '')
    .. (has_flag(flow, ENDING_BY_CANCEL) and ',"ending":"cancel"' or '')
    .. (has_flag(flow, ENDING_BY_TIMEOUT) and ',"ending":"timeout"' or '')
    .. (has_flag(flow, ENDING_BY_AGAIN) and ',"ending":"again"' or '') .. told_again(key)
    .. counted('cleanup_ms', call('HGET', key, CLEANUP) or '0') .. slot_fields(call('HGET', key, SCHEDULE))
    .. counted('rounds', call('HGET', key, ROUNDS) or '0')
    .. parent_fields(call('HGET', key, PARENT)) .. told_signals(flow) .. extra .. '}')
  flow.dirty = true
  return flow.count
end

local dealt, tasks = 0, 0
for index = 3, #ARGV, 2 do
  local id = ARGV[index]
  local key = flow_key(id)
  if call('EXISTS', key) == 1 and not flows[id] then
    tasks = tasks + write(id, key, ARGV[index + 1])
  end
  dealt = dealt + 1
  if tasks >= tonumber(most_tasks) then
    break
  end
end
commit()
return { 'ok', dealt }
