-- Sub-flows: which flow is the child of a task, and what is to be done for a tree of flows.
--
-- The child of a task's attempt follows from these alone (definitions/child_flows.py, too): nobody keeps a
-- link, and a child that is begun twice is begun once. "tree" is a zset of what is to be looked at, by when
-- (engine time), see watcher/tree.lua:
--   <flow>:<task>   its task awaits a child that is to be begun; with "?" behind it: that may have ended
--   <flow>:0        a child: whether it is still awaited, and goes on; with "p", "r" or "y" behind it: its
--                   parent was paused, was resumed, or has another priority
-- rarely used
-- needs: base, engine_time, keys, statuses
-- layer: 2
local WITH_CHILD = '~flow 0' -- the lease of a task that awaits its child, or is held because of it
local AWAITS_END = '^~flow [1-9]' -- of one that waits for its end alone, as its flow is ending: until when
local MOST_BEFORE = 100 -- attempts that may have begun no child, as that of an earlier one went on

local function child_of(id, task, attempt)
  local hash = redis.sha1hex(id .. ':' .. task .. ':' .. attempt)
  local variant = tonumber(sub(hash, 1, 1), 16) % 4 + 1
  return sub(id, 1, 19) .. sub('89ab', variant, variant) .. sub(hash, 2, 4) .. '-' .. sub(hash, 5, 16)
end

-- The fields of an event that say whose child a flow is; "" for nobody's.
local function parent_fields(text)
  local id, task, attempt, trunk, window = match(text or '', '^(%S+) (%d+) (%d+) (%S+) ?(%S*)$')
  if not id then
    return ''
  end
  return ',"parent":"' .. id .. '","parent_task":' .. task .. ',"parent_attempt":' .. attempt
    .. ',"trunk":"' .. trunk .. '"' .. (window ~= '' and ',"window":"' .. window .. '"' or '')
end

local tree_bells = {}
local function note_tree(member)
  call('ZADD', tree_key(), now, member)
  if not tree_bells.has_rung then -- once a call: whoever comes does all that is noted
    tree_bells.has_rung = true
    if call('LLEN', bell_key('', 'flow')) < 20 then
      call('RPUSH', bell_key('', 'flow'), '1') -- for any watcher
    end
  end
end

-- The child of this attempt of a task, or of an earlier one, that is under way; nil: none is.
local function child_under_way(id, task, attempt)
  for one = tonumber(attempt), math.max(1, attempt - MOST_BEFORE), -1 do
    local child = child_of(id, task, digits(one))
    if call('EXISTS', flow_key(child)) == 1 then
      return child
    elseif call('EXISTS', ended_key(child)) == 1 then
      return nil
    end
  end
  return nil
end

-- The task does not await its child any more: that is to be cancelled, if it is under way.
local function leave_child(id, task, attempt)
  local child = child_of(id, task, attempt)
  call('ZREM', tree_key(), id .. ':' .. task, id .. ':' .. task .. '?')
  if call('EXISTS', flow_key(child)) == 1 then
    note_tree(child .. ':0')
  end
end

-- The same for a task with this lease, whichever it is.
local function leave_child_of(id, task, attempt, lease)
  if lease == WITH_CHILD then
    leave_child(id, task, attempt)
  end
end

-- The same for a task of a whole flow that may be held because of its child.
local function leave_held(flow, task, known)
  if known.status == SUSPEND then
    leave_child_of(flow.id, task, known.attempt, known.lease)
  end
end
