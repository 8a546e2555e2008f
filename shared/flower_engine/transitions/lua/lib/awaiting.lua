-- Tasks that wait for the world: what is known of one while it awaits, and its places.
--
-- Its state has "~<kind> <until ms, 0: for ever>" for a lease, kind sleep, event, approval, when, map,
-- returns or flow; of an event " <name> <key>" (as keys have them, "": any key) stands behind it.
-- "waits" is a zset, all of one score, of those that await signals, "<name> <key> <flow>:<task in six
-- digits>": so signals find them by a range of names. "decide" is a zset of decisions and maps,
-- "<flow>:<task>", by when somebody is to be given them (engine time), and `decide` of meta counts them.
-- "tree" has those that await a child (see tree_notes.lua). See waits/wait_programs.py; they begin and end
-- in waits.lua.
-- rarely used
-- needs: base, child_windows, engine_time, flow_fields, flows, keys, meta, timers, tree_notes
-- layer: 2
local AWAITED = '^~(%a+) (%d+) ?(.*)$'
local FOR_EVER = '0'

local function is_awaiting(lease) return sub(lease, 1, 1) == '~' end
-- Whether somebody evaluates what it comes to.
local function is_decided(kind)
  return kind == 'when' or kind == 'map' or kind == 'returns'
end
local function wait_member(names, id, task)
  return names .. ' ' .. id .. ':' .. string.format('%06d', task)
end

-- So many decisions more are to be made; the reply of a call that made one due says so itself.
local function count_decisions(more)
  meta_marks[8] = call('HINCRBY', meta_key(), 'decide', more)
end

-- The task waits for something else from here on; whoever sends a signal looks whether it is of its type.
local function change_wait(flow, task, wait)
  set(flow, wait_field(task), wait)
  local typed = sub(wait, 1, 5) == 'event' and (flow[TYPED] or call('HGET', flow.key, TYPED) or '')
  if typed and not string.find(',' .. typed .. ',', ',' .. task .. ',', 1, true) then
    set(flow, TYPED, typed == '' and task or typed .. ',' .. task)
  end
end

local function attempt_of(flow, task)
  return (select(2, match(flow[state_field(task)] or call('HGET', flow.key, state_field(task)), STATE)))
end

-- The task awaits until then: whatever tells it that its time is up, and signals, find it.
local function place_awaiting(flow, task, lease)
  local kind, until_ms, names = match(lease, AWAITED)
  if kind == 'sleep' then
    call('ZADD', timers_key(), until_ms, sleep_timer(flow.id, task))
    return
  elseif is_decided(kind) then
    count_decisions(call('ZADD', decide_key(), now, flow.id .. ':' .. task))
    if call('LLEN', bell_key('', 'when')) < 20 then
      call('RPUSH', bell_key('', 'when'), '1') -- for any worker
    end
    return
  elseif kind == 'flow' then
    await_child(flow, task, attempt_of(flow, task))
    return
  elseif until_ms ~= FOR_EVER then
    set_timeout(wait_timer(flow.id, task), until_ms - now_ms)
  end
  if kind == 'event' then
    call('ZADD', waits_key(), 0, wait_member(names, flow.id, task))
  end
end

-- The task awaits no more.
local function stop_awaiting(flow, task, lease)
  local kind, until_ms, names = match(lease, AWAITED)
  if kind == 'sleep' then
    drop_timer(sleep_timer(flow.id, task))
    return
  elseif is_decided(kind) then
    if call('ZREM', decide_key(), flow.id .. ':' .. task) == 1 then
      count_decisions(-1)
    end
    return
  elseif kind == 'flow' then
    if flow.answered ~= task then -- else its child has ended, and that is why
      local attempt = attempt_of(flow, task)
      leave_child(flow.id, task, attempt)
      leave_window(flow, task, attempt)
    end
    return
  elseif until_ms ~= FOR_EVER then
    drop_timer(wait_timer(flow.id, task))
  end
  if kind == 'event' then
    call('ZREM', waits_key(), wait_member(names, flow.id, task))
  else
    call('HDEL', flow.key, votes_field(task))
  end
end
