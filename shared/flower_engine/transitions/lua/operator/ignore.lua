#!lua
-- ignore: an operator passes over waiting, retrying or suspended tasks; their dependents go on.
-- needs: awaiting, base, flow_fields, flows, items, kept_results, operation, places, ready, release
-- needs: statuses, timers, tree_notes, whole_flow, whole_rules
--
-- Guarantees: each task leaves where it waits, becomes Ignore and frees its dependents together with its
--   event; the flow ends with the last one. Refused as a whole where a task is running or final, or where
--   another needs its result and none is given that stands in for it.
-- ARGV: see operation.lua; its own: the reason (JSON text), the result that its readers get ("": none);
--   behind the fields: tasks...
-- Reply: see operation.lua. Cost: linear in the tasks and their dependents (wide ones in steps, see
--   release.lua).
local generation, operation, id, by, version, restored, reason, result = unpack(ARGV, 1, 8)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 9)
if not flow then
  return reply
end
local first_task, tasks, chosen = behind_fields(restored, 9), {}, {}
local WIDTH = 4 -- fields of each

local function read_tasks()
  local names = {}
  for index = first_task, #ARGV do
    local task, n = ARGV[index], #names
    names[n + 1], names[n + 2], names[n + 3] = state_field(task), dependents_field(task), lane_field(task)
    names[n + 4] = flow.kept and readers_field(task) or names[n + 1]
  end
  return names, values_of(flow, names)
end

local names, values = read_tasks()
for index = first_task, #ARGV do
  local task, at = ARGV[index], WIDTH * (index - first_task)
  if not chosen[task] then
    local state = values[at + 1] or NEVER
    if not values[at + 3] then
      return refused(flow, 'unknown', task)
    end
    local status, attempt, lost, lease = match(state, STATE)
    if status == RUNNING then
      return refused(flow, 'ignore-running', task)
    elseif status == FINISH or status == IGNORE then
      return refused(flow, 'final', task, status == FINISH and 'finished' or 'ignored')
    elseif match(state, KIND) == GIVEN_UP then
      return refused(flow, 'final', task, 'given up')
    end
    chosen[task] = true
    tasks[#tasks + 1] = { task = task, was = status, attempt = attempt, lost = lost, lease = lease,
      links = values[at + 2], lane = values[at + 3] }
    if flow.kept and flow[names[at + 4]] == nil then
      flow[names[at + 4]] = values[at + 4] or '0' -- settle_data need not ask
    end
  end
end

-- The tasks, "4, 5, ...", that cannot run without the result of this one, and are not passed over with it.
local MOST_NAMED = 10
local readers_by_links = {}
-- Of the tasks behind others (the text of their links) those that are not final, and what they read.
local function open_readers(links)
  local found = readers_by_links[links]
  if not found then
    local dependents, asked = tasks_read(links_of(links) or ''), {}
    for index = 1, #dependents do
      asked[2 * index - 1], asked[2 * index] = dependents_field(dependents[index]),
        state_field(dependents[index])
    end
    local got = values_of(flow, asked)
    found = {}
    for index = 1, #dependents do
      local _, reads = links_of(got[2 * index - 1])
      local state = got[2 * index] or NEVER
      local status = match(state, STATE)
      if reads and not chosen[dependents[index]] and status ~= FINISH and status ~= IGNORE
        and match(state, KIND) ~= GIVEN_UP then
        found[#found + 1] = { task = dependents[index], reads = ',' .. reads .. ',' }
      end
    end
    readers_by_links[links] = found
  end
  return found
end

local function in_need_of(known)
  local found = {}
  for _, reader in ipairs(known.links and open_readers(known.links) or found) do
    if string.find(reader.reads, ',' .. known.task .. ',', 1, true) then
      found[#found + 1] = reader.task
    end
  end
  if #found > MOST_NAMED then
    found = { unpack(found, 1, MOST_NAMED) }
    found[MOST_NAMED + 1] = '...'
  end
  return #found > 0 and concat(found, ', ')
end

if flow.kept and result == '' then
  for _, known in ipairs(tasks) do
    local readers = in_need_of(known)
    if readers then
      return refused(flow, 'needed', known.task, readers)
    end
  end
end
local is_counted = flow.ruled or string.find(flow.flags, COUNTS_ACTIVE) or has_flag(flow, GAVE_PLACE_BACK)
local ready
if is_counted then
  load_whole(flow)
  ready = find_ready(flow)
end
go_on(flow)
if is_counted and not flow.ruled then
  push_unreleased(flow)
  flow.unreleased = nil
  count_active(flow)
  for _, known in ipairs(tasks) do
    local task = tonumber(known.task)
    if known.was == WAIT and (ready[task] or is_retrying(flow.tasks[task])) then
      change_active(flow, -1)
    end
  end
end
local ignored = {}
for index, known in ipairs(tasks) do -- all of them before any is released: they may depend on each other
  if known.was == WAIT then
    pull(known.lane, flow, known.task)
    if sub(known.lease, 1, 1) == '@' then
      drop_timer(retry_timer(flow.id, known.task))
    elseif is_awaiting(known.lease) then
      stop_awaiting(flow, known.task, known.lease)
    end
  else
    leave_child_of(flow.id, known.task, known.attempt, known.lease)
    let_items_start(flow, has_flag(flow, HAS_ITEMS) and call('HGET', flow.key, items_field(known.task)))
  end
  set_state(flow, known.task, flow.ruled and result ~= '' and WITH_RESULT_STATE or IGNORE, known.attempt,
    known.lost, NO_LEASE)
  flow.left = flow.left - 1
  flow.done = flow.done + 1
  append_operation(flow, 'task.ignored', ',"task":' .. known.task .. ',"was":' .. known.was
    .. ',"reason":' .. reason .. (result == '' and '' or ',"result":' .. result)
    .. (flow.left == 0 and ',"ends":true' or ''))
  ignored[index] = known.task
end
if flow.ruled then
  local in_lane = {}
  for task = 1, flow.count do
    local known = flow.tasks[task]
    local is_unreleased = flow.unreleased and flow.unreleased[task]
    in_lane[task] = ready[task] and known.lease == NO_LEASE and not is_unreleased
  end
  for _, known in ipairs(tasks) do
    local whole = flow.tasks[tonumber(known.task)]
    if known.was == SUSPEND then
      drop_timer(hold_timer(flow.id, known.task))
    end
    whole.status, whole.kind, whole.lease = IGNORE, result ~= '' and 'p', NO_LEASE
    if flow.kept and flow.left > 0 then
      local dependents, reads = links_of(known.links)
      settle_data(flow, known.task, result ~= '' and '=' .. result or nil, dependents, reads, {})
    end
  end
  flow.unreleased = nil
  redecide(flow, in_lane)
end
for _, known in ipairs(tasks) do
  if known.links and not flow.ruled then
    release(flow, known.task, known.links, result ~= '' and '=' .. result or nil)
  end
end
if flow.left > 0 then
  restart_flow_timer(flow)
end
return conclude(flow, ignored)
