-- What an operator's transitions have in common.
--
-- Their ARGV begin: generation, operation id, flow id, by (JSON text), expected version or "",
--   version of the restored flow, position up to which its history was read, ms of its end, number of its
--   fields, the fields of its hash (name, value...; see restored_flow.py); then their own, from ARGV[first].
-- Their replies: {"ok", version, task...}, {"refused", reason, detail...}, {"absent", last position of the
--   log}: the flow is not under way, and no state of it was given, or one from before an end that may be
--   forgotten (a history that is read from now on reaches that position), {"moved", version}: not the version
--   it should be, {"pruned", ms}: what ended before that moment has gone, or just goes, {"lost"}.
-- Sent twice they do their work once: op:<operation id> remembers for an hour the version it led to.
-- needs: base, commit, events, flows, keys, meta, places, positions, timers, whole_flow
local operation, operated_id, operator = ARGV[2], ARGV[3], ARGV[4]
local first_own = 10 + tonumber(ARGV[9])
local op_key, REMEMBERED_SECONDS = prefix .. 'op:' .. operation, 3600
local is_put_back = false

-- The moment before which whatever ended has gone or goes, if a flow that ended at `at` (ms) is among that.
local function pruned_behind(at)
  local marks = call('HMGET', KEYS[1], 'pruning', 'pruned')
  local to = math.max(tonumber(match(marks[1] or '', '^(%d+) ') or -1), tonumber(marks[2] or -1))
  return tonumber(at) < to and digits(to) or nil
end

-- The flow to operate on, put back if it had ended, or nil and the reply.
local function open_flow()
  if current_generation ~= ARGV[1] then
    return nil, { 'lost' }
  end
  local done = call('GET', op_key)
  if done then
    return nil, { 'ok', done }
  end
  local key = prefix .. 'flow:' .. operated_id
  local counters = call('HGET', key, 'c')
  if not counters then
    local ended = call('GET', prefix .. 'ended:' .. operated_id)
    local version = match(ended or '', '^(%d+)')
    if ARGV[9] == '0' or (not ended and is_older_than_forgotten(ARGV[7])) then
      return nil, { 'absent', last_position() }
    elseif ended and version ~= ARGV[6] then
      return nil, { 'moved', version }
    end
    local pruned_to = pruned_behind(ARGV[8])
    if pruned_to then
      return nil, { 'pruned', pruned_to }
    end
    for step = 10, first_own - 1, CHUNK do
      call('HSET', key, unpack(ARGV, step, math.min(first_own - 1, step + CHUNK - 1)))
    end
    is_put_back = true
    counters = call('HGET', key, 'c')
  end
  local flow = keep_flow(operated_id, key, counters)
  flow.restored = is_put_back
  if ARGV[5] ~= '' and tonumber(ARGV[5]) ~= flow.v then
    if is_put_back then
      call('UNLINK', key)
    end
    return nil, { 'moved', digits(flow.v) }
  end
  if is_put_back and string.find(flow.flags, 'w', 1, true) then -- it ended before its start
    call('ZADD', timers, call('HGET', key, 'b'), 'b:' .. operated_id)
  end
  return flow
end

-- The flow is to go on: one that had ended, or gave its place back, needs a place again.
local function go_on(flow)
  if (is_put_back or has_flag(flow, 'z')) and not has_flag(flow, 'w') then
    seek_place(flow)
  end
end

-- The reply of an operation that cannot be; a flow that was put back for it is as it was.
local function refused(flow, ...)
  if is_put_back then
    call('UNLINK', flow.key)
    call('ZREM', timers, 'b:' .. operated_id)
  elseif flow.unreleased then -- what was begun with loading the flow as a whole is done
    push_unreleased(flow)
    commit()
  end
  return { 'refused', ... }
end

-- An event of the operation; `fields` is JSON that begins with a comma.
local function append_operation(flow, kind, fields)
  append('{"type":"' .. kind .. at_flow .. operated_id .. '","v":' .. next_version(flow) .. ',"by":' .. operator .. fields .. '}')
end

-- Writes everything; the reply.
local function conclude(flow, tasks)
  flow.dirty = true
  call('SET', op_key, digits(flow.v), 'EX', REMEMBERED_SECONDS)
  if is_put_back then
    call('UNLINK', prefix .. 'ended:' .. operated_id)
  end
  commit()
  local reply = { 'ok', digits(flow.v) }
  for index = 1, #tasks do
    reply[index + 2] = tasks[index]
  end
  return reply
end
