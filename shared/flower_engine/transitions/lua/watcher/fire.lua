#!lua flags=allow-oom
-- fire: moves timers that are due.
-- needs: awaiting, base, cleanup, commit, due, emptying, engine_time, events, failed_attempt
-- needs: failed_for_good, flow_fields, flows, keys, meta, next_rounds, places, ready, release, statuses
-- needs: timers, tree_notes, waits, whole_flow, whole_reading, whole_rules
--
-- Guarantees: a retry or a delayed start becomes ready; where a task asked for another round of its flow that
--   ends, but for its cleanup (a large one when its tasks have left their lanes, in calls that follow each
--   other); an attempt that takes too long fails (its lease
--   ends, its policy decides); a task that waited too long for a worker is suspended; a sleep ends; what
--   awaited the world too long has its default, or is suspended; of a flow that takes
--   too long everything that runs or is ready is suspended, and where it has a cleanup all of that is given
--   up, and the flow is ending; one whose cleanup takes too long ends: each together with its event and the
--   end of its timer. Time that nobody watched does not count for timeouts, and for one lease time after it
--   there are none (see lapse.lua). Safe to send twice.
--   Where a very wide release waits for its steps, one is taken: what it frees may need no worker.
-- ARGV: generation, lease time in ms, allowed gap between ticks in ms, most timers to move
-- Reply: {"ok", ms until the next timer (-1: none), {what, flow, task (0: the flow), ...}} or {"lost"}.
-- Cost: linear in timers moved; of flows that begin or take too long, in their tasks; where nothing is due,
--   next to nothing.
local generation, lease_ms, tick_gap_ms, most = unpack(ARGV, 1, 4)
if current_generation ~= generation then
  return { 'lost' }
end
local grace_ms = tonumber(call('HGET', meta_key(), 'grace') or 0) - now_ms -- for so long nothing times out
local notes = tonumber(fanout_mark or 0)
if notes == 0 then
  local next_ms = next_due_in(grace_ms)
  if (not next_ms or next_ms > 0) and call('EXISTS', admitting_key()) == 0 then
    return { 'ok', next_ms and string.format('%d', next_ms) or '-1', {} }
  end
end
-- the rest is made from here on
local WHOLE_TASKS = 2000 -- tasks of whole flows in one call, and those of the last one
local HELD_MS = 1000 -- a round of a flow that is held ends later
local fired, whole_tasks = {}, 0

local function say(what, flow, task)
  local n = #fired
  fired[n + 1], fired[n + 2], fired[n + 3] = what, flow.id, task
end

local function error_of(kind, message)
  return '{"type":"' .. kind .. '","message":"' .. message .. '"}'
end

local function seconds(ms)
  return string.format('%g', ms / 1000) .. ' s'
end

-- The flow as a whole, or nil if it is not under way.
local function whole(id)
  local flow = flows[id]
  if flow == nil then
    local key = flow_key(id)
    local counters = call('HGET', key, COUNTERS)
    flow = counters and keep_flow(id, key, counters)
  end
  if flow and flow.left == 0 then
    return nil
  end
  if flow then
    load_whole(flow)
    whole_tasks = whole_tasks + flow.count
  end
  return flow
end

-- The same as load_task of a flow that has not ended in this call: what became of its tasks then is noted
-- nowhere.
local function load_open(id, task, field_name)
  local flow, state, value = load_task(id, task, field_name)
  if flow and flow.left > 0 then
    return flow, state, value
  end
end

local move = {}

function move.r(id, task)
  local flow, state, lane = load_open(id, task, lane_field(task))
  local status, attempt, lost, lease = match(flow and state or NEVER, STATE)
  if status == WAIT and sub(lease, 1, 1) == '@' then
    local asker = asker_of(flow)
    local known = asker and (flow[state_field(asker)] or call('HGET', flow.key, state_field(asker))) or NEVER
    if match(known, '^' .. WAIT) and match(known, ' @%d+$') and not is_ending(flow) then
      if flow.held and not has_flag(flow, EMPTYING) then
        set_timer(retry_timer(id, task), HELD_MS)
      elseif not leave_lanes(flow) then
        set_timer(retry_timer(id, task), 0)
        whole_tasks = whole_tasks + EMPTY_STEP
      else
        if task ~= asker then
          set_timer(retry_timer(id, task), 0) -- another one asked later: what is spared of the end runs again
        end
        whole_tasks = whole_tasks + flow.left + flow.done
        end_round(flow, asker)
        say('round', flow, '0')
      end
      return
    end
    forget_asker(flow, task)
    set_state(flow, task, WAIT, attempt, lost, NO_LEASE)
    push(lane, flow, task)
    say('retry', flow, task)
  end
end

function move.b(id)
  local flow = whole(id)
  if flow then
    set_flag(flow, BEFORE_START, false)
    seek_place(flow)
    restart_flow_timer(flow)
    push_ready(flow)
    count_active(flow)
    say('start', flow, '0')
  end
end

-- Nothing of the flow asks for another round any more, and its lanes were being emptied.
function move.l(id)
  local flow = whole(id)
  if flow then
    push_unreleased(flow)
  end
end

function move.a(id, task)
  local flow, state, lane = load_open(id, task, lane_field(task))
  local status, attempt, lost, lease = match(flow and state or NEVER, STATE)
  if status == RUNNING then
    local limit = timeouts_of(policy_of(flow, task))
    end_lease(flow, task, { lane = lane, lost = lost, lease = lease })
    fail(flow, task, attempt, lost, lease, 'failed', -1,
      error_of('AttemptTimeout', 'attempt ' .. attempt .. ' took longer than ' .. seconds(limit)), '-')
    say('attempt-timeout', flow, task)
  end
end

function move.q(id, task)
  local flow, state, lane = load_open(id, task, lane_field(task))
  local status, attempt, lost, lease = match(flow and state or NEVER, STATE)
  if flow and status == WAIT and lease == NO_LEASE then
    local _, limit = timeouts_of(policy_of(flow, task))
    pull(lane, flow, task)
    set_state(flow, task, SUSPEND, attempt, lost, NO_LEASE)
    change_active(flow, -1)
    local error = error_of('QueueTimeout', 'no worker took it within ' .. seconds(limit))
    append('{"type":"task.overdue' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
      .. ',"error":' .. error .. '}')
    hold_waiting(flow, task, attempt, lost, error)
    say('queue-timeout', flow, task)
  end
end

function move.g(id, task)
  local flow, state = load_open(id, task, lane_field(task))
  local status, attempt, lost, lease = match(flow and state or NEVER, STATE)
  if flow and status == SUSPEND and match(state, KIND) ~= GIVEN_UP then
    if has_flag(flow, GAVE_PLACE_BACK) then -- it may go on
      seek_place(flow)
    end
    leave_child_of(id, task, attempt, lease)
    lease = lease == WITH_CHILD and NO_LEASE or lease
    give_up(flow, task, SUSPEND, attempt, lost, lease, 'hold', ',"attempt":' .. attempt)
    say('given-up', flow, task)
  end
end

function move.f(id)
  local flow = whole(id)
  if not flow then
    return
  end
  local has_cleaned_up, spared = is_ending(flow), cleanup_of(flow)
  local ready, running, waiting, waits = find_ready(flow), {}, {}, 0
  local in_lane, asker, held = {}, asker_of(flow), { status = SUSPEND, lease = NO_LEASE }
  local change, set_free, take_out, timers = become, set_free_state, unplace, {}
  for task = 1, flow.count do
    local known, text = flow.tasks[task], digits(task)
    if spared and spared[task] then
      known = nil
    elseif known.status == RUNNING then
      end_lease(flow, text, known)
      running[#running + 1] = text
    elseif ready[task] then
      if known.lease == NO_LEASE and flow.timed then -- their timers go together
        timers[#timers + 1] = queue_timer(id, text)
        flow.timed = false
        pull(known.lane, flow, text)
        flow.timed = true
      else
        take_out(flow, text, known)
      end
      waits = waits + 1
      waiting[waits] = text
    else
      known = nil
    end
    if known then
      if text == asker then
        forget_asker(flow, text)
      end
      change(known, held)
      set_free(flow, text, SUSPEND, known)
    end
  end
  if #timers > 0 then
    call_chunked('ZREM', timers_key(), timers, CHUNK)
  end
  if #running + #waiting > 0 then
    local limit = call('HGET', flow.key, has_cleaned_up and CLEANUP or TIMEOUT) or DEFAULT_CLEANUP_MS
    append('{"type":"flow.timed_out' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"error":'
      .. error_of(has_cleaned_up and 'CleanupTimeout' or 'FlowTimeout',
        'the ' .. (has_cleaned_up and 'cleanup' or 'flow') .. ' took longer than ' .. seconds(limit))
      .. (#running > 0 and ',"running":[' .. concat(running, ',') .. ']' or '')
      .. (#waiting > 0 and ',"waiting":[' .. concat(waiting, ',') .. ']' or '') .. '}')
    say('flow-timeout', flow, '0')
  end
  if has_cleaned_up then
    end_cleanup(flow)
  elseif spared then
    begin_cleanup(flow, spared, ENDING_BY_TIMEOUT, ',"cause":"timeout","by":"timeout"')
  elseif flow.ruled then -- tasks may start because these failed
    redecide(flow, in_lane)
  else
    count_active(flow)
  end
end

-- A sleep is over.
function move.s(id, task)
  local flow, state = load_open(id, task, wait_field(task))
  if flow and is_awaiting(select(4, match(state, STATE))) then
    end_wait(flow, task, state, '"time"', 'null')
    say('sleep', flow, task)
  end
end

-- What a task awaited did not come in time: it has its default, or is suspended.
function move.d(id, task)
  local flow, state, wait = load_open(id, task, wait_field(task))
  local _, attempt, lost, lease = match(flow and state or NEVER, STATE)
  if not is_awaiting(lease) then
    return
  end
  local timeout, default = match(wait, '^event (%d+) %S+ %S* (.*)$')
  local is_event = timeout ~= nil
  if not is_event then
    timeout, default = match(wait, '^approval (%d+) %d+ (.*)$')
  end
  if sub(default, 1, 1) == '=' then
    default = sub(default, 2)
    if not is_event then
      default = '{"answer":' .. default .. ',"by":[],"at":' .. now .. '}'
    end
    end_wait(flow, task, state, '"timeout"', default)
  else
    stop_awaiting(flow, task, lease)
    set_state(flow, task, SUSPEND, attempt, lost, NO_LEASE)
    change_active(flow, -1)
    local error = error_of('WaitTimeout', (is_event and 'no signal came' or 'nobody answered')
      .. ' within ' .. seconds(timeout))
    append('{"type":"task.overdue' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
      .. ',"error":' .. error .. '}')
    hold_waiting(flow, task, attempt, lost, error)
  end
  say('wait-timeout', flow, task)
end

local releasing = release_step(notes) -- before anything moves
local IS_TIMEOUT = { a = true, q = true, f = true, g = true }
local is_stalled = grace_ms > 0 or now_ms - tick > tonumber(tick_gap_ms)
for _, member in ipairs(call('ZRANGE', timers_key(), '-inf', now, 'BYSCORE', 'LIMIT', 0, most)) do
  local kind, id, task = match(member, '^(%a):([^:]*):?(%d*)$')
  if is_stalled and IS_TIMEOUT[kind] then -- of an older version
    set_timeout(member, lease_ms)
  elseif whole_tasks < WHOLE_TASKS then
    call('ZREM', timers_key(), member)
    move[kind](id, task)
  end
end
local due = string.format('%d', grace_ms > 0 and 0 or TIMEOUTS + steady_now())
for _, member in ipairs(call('ZRANGE', timers_key(), TIMEOUTS_FROM, due, 'BYSCORE', 'LIMIT', 0, most)) do
  local kind, id, task = match(member, '^(%a):([^:]*):?(%d*)$')
  if whole_tasks < WHOLE_TASKS then
    call('ZREM', timers_key(), member)
    move[kind](id, task)
  end
end
for _, workflow in ipairs(call('SRANDMEMBER', admitting_key(), 20)) do
  admit(workflow)
end
commit()
if releasing > 0 or call('EXISTS', admitting_key()) == 1 then
  return { 'ok', '0', fired }
end
local next_ms = next_due_in(grace_ms)
next_ms = next_ms and math.max(0, next_ms)
return { 'ok', next_ms and string.format('%d', next_ms) or '-1', fired }
