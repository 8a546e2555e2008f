-- What an operator's transitions have in common.
--
-- Their first arguments: generation, id of the operation, id of the flow, by (JSON text), the version that it
--   should be at ("": any), and of a flow that had ended and is to be put back "<version> <position up to
--   which its history was read> <ms of its end> <number of fields>" (else ""), those of their own that come
--   once; then the fields of its hash (name, value...; see restored_flow.py), then lists of their own.
-- Their replies: {"ok", version, tasks} (these as runs, "2-9,12"; none if it was done before), {"refused",
--   reason, detail...}, {"absent", last position of the log}: the flow is not under way, and no state of it
--   was given, or one from before an end that may be forgotten (a history that is read from now on reaches
--   that position), {"moved", version}: not the version it should be, {"needs", task...}: results of these
--   are to be sent with it, {"pruned", ms}: what ended before that moment has gone, or just goes, {"lost"}.
-- Sent twice they do their work once: op:<operation id> remembers for an hour the version it led to.
-- needs: base, children, commit, events, flow_fields, flows, keys, meta, places, positions, timers
-- needs: whole_flow
local RESTORED = '^(%d+) (%S*) (%d+) (%d+)$'
local REMEMBERED_SECONDS = 3600
local operation_id, operator = nil, nil -- of this call
local is_put_back = false

-- Behind the fields of a flow that is to be put back, if they begin at `first`.
local function behind_fields(restored, first)
  return first + (match(restored, '%d+$') or 0)
end

-- The moment before which whatever ended has gone or goes, if a flow that ended at `at` (ms) is among that.
local function pruned_behind(at)
  local marks = call('HMGET', meta_key(), 'pruning', 'pruned')
  local to = math.max(tonumber(match(marks[1] or '', '^(%d+) ') or -1), tonumber(marks[2] or -1))
  return tonumber(at) < to and digits(to) or nil
end

-- The flow to operate on, or nil and the reply. One that had ended is put back; its fields are the values
-- from the first one on.
local function open_flow(generation, operation, id, by, version, restored, values, first)
  if current_generation ~= generation then
    return nil, { 'lost' }
  end
  operation_id, operator = operation, by
  local done = call('GET', operation_key(operation_id))
  if done then
    return nil, { 'ok', done }
  end
  local key = flow_key(id)
  local counters = call('HGET', key, COUNTERS)
  if not counters then
    local ended = call('GET', ended_key(id))
    local ended_version = match(ended or '', '^(%d+)')
    local known_version, position, ended_ms, field_count = match(restored, RESTORED)
    if not known_version or (not ended and is_older_than_forgotten(position)) then
      return nil, { 'absent', last_position() }
    elseif ended and ended_version ~= known_version then
      return nil, { 'moved', ended_version }
    end
    local pruned_to = pruned_behind(ended_ms)
    if pruned_to then
      return nil, { 'pruned', pruned_to }
    end
    local last = first + field_count - 1
    for step = first, last, CHUNK do
      call('HSET', key, unpack(values, step, math.min(last, step + CHUNK - 1)))
    end
    is_put_back = true
    counters = call('HGET', key, COUNTERS)
  end
  local flow = keep_flow(id, key, counters)
  flow.restored = is_put_back
  if is_put_back and flow.kept then
    flow.counted = 0 -- the partition has not counted what it keeps
  end
  if version ~= '' and tonumber(version) ~= flow.v then
    if is_put_back then
      call('UNLINK', key)
    end
    return nil, { 'moved', digits(flow.v) }
  end
  local parent = is_put_back and call('HGET', key, PARENT)
  if parent and not make_children().awaiting(parent) then
    call('UNLINK', key)
    return nil, { 'refused', 'not-awaited', match(parent, '^(%S+) (%d+)') }
  end
  if is_put_back and has_flag(flow, BEFORE_START) then -- it ended before its start
    call('ZADD', timers_key(), call('HGET', key, START), start_timer(id))
  end
  return flow
end

-- The flow is to go on: one that had ended, or gave its place back, needs a place again.
local function go_on(flow)
  if (is_put_back or has_flag(flow, GAVE_PLACE_BACK)) and not has_flag(flow, BEFORE_START) then
    seek_place(flow)
  end
end

-- An operation is not done (now); a flow that was put back for it is as it was.
local function leave_as_it_was(flow)
  if is_put_back then
    call('UNLINK', flow.key)
    call('ZREM', timers_key(), start_timer(flow.id))
  elseif flow.unreleased then -- what was begun with loading the flow as a whole is done
    push_unreleased(flow)
    commit()
  end
end

-- The reply of an operation that is to be sent again with the results of these tasks.
local function needs(flow, tasks)
  leave_as_it_was(flow)
  table.insert(tasks, 1, 'needs') -- there may be more than Lua can unpack
  return tasks
end

-- The reply of an operation that cannot be.
local function refused(flow, ...)
  leave_as_it_was(flow)
  return { 'refused', ... }
end

-- An event of the operation; `fields` is JSON that begins with a comma.
local function append_operation(flow, kind, fields)
  append('{"type":"' .. kind .. at_flow .. flow.id .. '","v":' .. next_version(flow)
    .. ',"by":' .. operator .. fields .. '}')
end

-- Tasks (numbers, or these as texts) as runs of numbers, "2-9,12", in their order.
local function runs_of(tasks)
  local runs, first, last, n = {}, nil, nil, 0
  for index = 1, #tasks + 1 do
    local task = tasks[index]
    task = task and task + 0
    if first and task == last + 1 then
      last = task
    else
      if first then
        n = n + 1
        runs[n] = first == last and digits(first) or digits(first) .. '-' .. digits(last)
      end
      first, last = task, task
    end
  end
  return concat(runs, ',')
end

-- Writes everything; the reply.
local function conclude(flow, tasks)
  flow.dirty = true
  call('SET', operation_key(operation_id), digits(flow.v), 'EX', REMEMBERED_SECONDS)
  if is_put_back then
    call('UNLINK', ended_key(flow.id))
  end
  commit()
  return { 'ok', digits(flow.v), runs_of(tasks) }
end
