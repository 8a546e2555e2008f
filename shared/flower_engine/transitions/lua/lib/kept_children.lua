-- What a rerun of tasks that other flows do makes of their children. By its letter:
--   ""   each begins another child; the one that it had is cancelled
--   "?"  the same, but nothing is done where one is held because of its child: that is told (see "-")
--   "-"  those that are held because of their children are left as they are
--   "^"  the one task, which is final, awaits the child that it had, which somebody takes up now; if nobody
--        does, within KEPT_MS, it ends again as it ended
-- needs: base, engine_time, events, flows, keys, statuses, tree_notes
local KEPT_MS = 30000

-- Whether a task of a whole flow is held because of its child.
local function is_held_for_child(known)
  return known.status == SUSPEND and known.lease == WITH_CHILD
end

-- The reply of a rerun of these tasks of a whole flow, where some are held because of their children: these,
-- each with its attempt; or nil.
local function told_children(flow, tasks)
  local reply = { 'children' }
  for _, task in ipairs(tasks) do
    if is_held_for_child(flow.tasks[task]) then
      reply[#reply + 1] = digits(task)
      reply[#reply + 1] = flow.tasks[task].attempt
    end
  end
  return #reply > 1 and reply
end

-- The event of a task that awaits its last child again; reopen() has the rest.
local function keep_child(flow, text)
  local known = flow.tasks[tonumber(text)]
  known.keeps_child = true
  append('{"type":"task.lifted' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"task":'
    .. text .. ',"attempt":' .. known.attempt .. ',"was":0}')
  call('ZADD', tree_key(), string.format('%d', now_ms + KEPT_MS), flow.id .. ':' .. text .. '?')
end
