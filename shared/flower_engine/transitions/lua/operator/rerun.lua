#!lua
-- rerun: tasks run again from the start; a flow that had ended is under way again.
-- needs: awaiting, base, bodies, cleanup, edges, flow_fields, flows, gone_items, kept_children, lanes
-- needs: matched_maps, operation, places, statuses, whole_data, whole_flow, whole_reading, whole_rules
--
-- Guarantees: what runs again, and what waits behind it, waits together with the event; attempts count on.
--   Refused as a whole where a selected task runs or waits already, where a dependent runs on a result that
--   goes, or (scope "") keeps a result that followed from it and did not read it: what read it runs again,
--   too, and so does what cleans up behind it, and what failed in a branch of it; or where one would start
--   behind a task that stays given up, in a flow without rules. Of a flow that is ending only its cleanup
--   runs again. Of a map that is asked for, or runs again because of what is before it, the items vanish: it
--   is expanded anew, and so are those that go along it. One that runs again because of its items keeps them;
--   one that goes along another map, and is asked for, keeps them, too, and they run again. With the scope
--   "changed" it is as with "", but that nothing is refused because dependents have gone on; and items that
--   such a map gets then take over what the same ones came to.
-- ARGV: see operation.lua; its own: scope ("" | only | dependents | changed; with "+" behind it: waits that
--   have ended keep what came of them, unless they are asked for; then what becomes of children, see
--   kept_children.lua), the numbers of new messages, bodies, results and earlier items ("1 0 2 0"); behind
--   the fields: for each message: task, message as it is, new message, its parameters (JSON), the keys that
--   follow from them (JSON, "": as they are), these as a lane's name has them: fair key, workflow's key,
--   program's key, what they read ("2,3?"), and what the task waits for of the world (see waits.lua, "":
--   nothing); for each body: see bodies.lua; for each result that was needed: task, attempt, payload; for
--   each map with earlier items: see matched_maps.lua; then the selection: "tasks", tasks... | "all" |
--   "failed", tasks that a cancel cut off...
-- Reply: see operation.lua, or {"children", task, attempt, ...}: these are held because of theirs; or
--   {"earlier", map...}: it is to be sent again with the items that these had.
--   Cost: linear in the flow's tasks and edges.
local generation, operation, id, by, version, restored, scope, counts = unpack(ARGV, 1, 8)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 9)
if not flow then
  return reply
end
load_whole(flow)
local keeps_answers, of_children
scope, keeps_answers, of_children = match(scope, '^(%a*)(%+?)(%p?)$')
keeps_answers = keeps_answers == '+'
local message_count, body_count, results, earlier = match(counts, '^(%d+) (%d+) (%d+) (%d+)$')
local reads_again = scope == '' or scope == 'changed' -- what read a result that goes runs again, too
local messages, at = {}, behind_fields(restored, 9)
for _ = 1, tonumber(message_count) do
  messages[ARGV[at]] = { now = ARGV[at + 1], new = ARGV[at + 2], parameters = ARGV[at + 3],
    keys = ARGV[at + 4], fair_key = ARGV[at + 5], workflow_key = ARGV[at + 6], program_key = ARGV[at + 7],
    reads = ARGV[at + 8], wait = ARGV[at + 9] }
  at = at + 10
end
local bodies
bodies, at = bodies_given(ARGV, at, tonumber(body_count))
local given = results_given(ARGV, at, tonumber(results))
at = at + 3 * results
local matched = scope == 'changed' and earlier_given(ARGV, at, tonumber(earlier)) or nil
at = at + 3 * earlier

local selection, again, stack, anew = ARGV[at], {}, { n = 0 }, { asked = {} } -- anew: how it is to be
local function select(task)
  if not again[task] and not flow.tasks[task].vanished then
    local n = stack.n + 1
    again[task], stack[n], stack.n = true, task, n
  end
end
local keeps_its_answer
do
  local WAITS = { sleep = true, event = true, approval = true }
  -- Whether the task has waited for the world, and what came of it stays; what decides is made anew, and so
  -- are children, and what a child returns.
  function keeps_its_answer(task, known)
    return keeps_answers and known.status == FINISH and WAITS[match(known.lane or '', '^@.*:%%40(%a+)') or '']
      and not again[task]
  end
end
-- Selects what was asked for; a refusal, or nil.
local function select_asked()
  if selection == 'all' then
    local tasks, n = flow.tasks, stack.n
    for task = 1, flow.count do
      local known = tasks[task]
      local items = known.items
      if items then
        anew.asked[task] = not items.along
      end
      if not known.vanished and not (keeps_answers and keeps_its_answer(task, known)) then
        n = n + 1
        again[task], stack[n] = true, task
      end
    end
    stack.n = n
  elseif selection == 'failed' then
    local tasks, n, is_asked = flow.tasks, stack.n, of_children == '?'
    for task = 1, flow.count do
      local known = tasks[task]
      if known.status == SUSPEND and not (of_children == '-' and is_held_for_child(known)) then
        again[task] = true
        if is_asked or known.dependents then -- else there is nothing behind it
          n = n + 1
          stack[n] = task
        end
      end
    end
    stack.n = n
  end
  for index = at + 1, #ARGV do
    local task = tonumber(ARGV[index])
    local known = flow.tasks[task]
    if not known then
      return refused(flow, 'unknown', ARGV[index])
    elseif selection == 'tasks' then
      local goes_along = known.items and known.items.along and not messages[digits(task)]
        and not is_other_body(bodies, task)
      anew.asked[task] = not goes_along
      for item = goes_along and known.items.first or 1, goes_along and known.items.last or 0 do
        select(item)
      end
      if known.vanished then
        return refused(flow, 'vanished', ARGV[index])
      elseif known.status == WAIT and not is_away(known) and not known.items
        and not messages[digits(task)] and not is_other_body(bodies, task) then
        return refused(flow, 'waits', ARGV[index])
      end
      select(task)
    elseif known.status == IGNORE then
      select(task)
    end
  end
end
local refusal = select_asked()
anew.spared = flow.ruled and spared_tasks(flow) or {}
local kept_waits = {}
if refusal then
  return refusal
end
if next(again) == nil then
  return refused(flow, 'nothing', selection)
end
anew.told = of_children == '?' and told_children(flow, stack)
if anew.told then
  leave_as_it_was(flow)
  return anew.told
end
-- What runs again because these do, by the scope: all behind them, or what read a result that goes.
local function walk_on()
  local behind_of, nobody_behind, tasks = tasks_behind, {}, flow.tasks
  while stack.n > 0 do
    local n = stack.n
    local task = stack[n]
    local known = tasks[task]
    stack.n = n - 1
    while n > 1 and not known.dependents do -- behind these there is nothing
      n = n - 1
      task = stack[n]
      known, stack.n = tasks[task], n - 1
    end
    for _, number in ipairs(known.dependents and behind_of(known) or nobody_behind) do
      local behind = flow.tasks[number]
      local read_it = flow.kept and is_final(known) and is_reader(behind, task) and uses(behind, task)
        and (behind.status == FINISH or behind.status == SUSPEND
          or by_maps(flow).began_with(behind, task))
      local cleaned_up = anew.spared[number] and is_final(known) and uses(behind, task)
        and (behind.status == FINISH or behind.status == SUSPEND)
      local failed_in_branch = reads_again and behind.status == SUSPEND
        and rules_of_edges().is_branch_of(behind.rules, task)
      if scope == 'dependents' or (reads_again and (read_it or cleaned_up or failed_in_branch)) then
        if not keeps_its_answer(number, behind) then
          select(number)
        elseif not kept_waits[number] then
          kept_waits[number] = true
          if scope == 'dependents' then
            stack.n = stack.n + 1
            stack[stack.n] = number
          end
        end
      end
    end
  end
end

-- A dependent that waits for its retry, or the world, began on a result that goes.
local function select_retrying()
  local tasks = flow.tasks
  for task = 1, flow.count do
    local known = again[task] and tasks[task]
    if known and known.dependents and (is_final(known) or (flow.ruled and known.status == SUSPEND)) then
      for _, dependent in ipairs(tasks_behind(known)) do
        local behind = flow.tasks[dependent]
        if is_away(behind) and uses(behind, task) then
          again[dependent] = true
        end
      end
    end
  end
end

if selection == 'all' then
  stack.n = 0 -- nothing is behind them that is not among them
else
  walk_on()
  select_retrying()
end
-- What rules had passed over because of these, and what began because they failed.
local function select_by_rules()
  if flow.ruled and selection ~= 'all' then -- else nobody is behind them that is not among them
    open_behind(flow, again, select)
    while stack.n > 0 do
      walk_on()
      select_retrying()
      open_behind(flow, again, select)
    end
  end
end
select_by_rules()
for task in pairs(bodies and again or {}) do
  anew.asked[task] = anew.asked[task] or is_other_body(bodies, task)
end
-- Maps that go along others which are expanded anew are, too; whether that led to more.
local function select_along()
  anew.maps, anew.is = by_maps(flow).to_expand(again, anew.asked), {}
  for _, map in ipairs(anew.maps) do
    anew.is[map] = true
    select(map)
  end
  local is_more = stack.n > 0
  if is_more then
    walk_on()
    select_retrying()
  end
  return is_more
end
while select_along() do
  select_by_rules()
end

if is_ending(flow) then
  for task = 1, flow.count do
    if again[task] and not anew.spared[task] then
      return refused(flow, 'ending', digits(task))
    end
  end
end
anew.gone, anew.map, anew.item = by_maps(flow).items_taken(again, anew.maps)
if not anew.gone then
  return refused(flow, 'dependent-running', anew.map, anew.item)
end
-- Of what is asked for and runs again (an item of a map that is expanded anew does not): a refusal where its
-- rule would pass over it at once.
local function passed_again()
  local edges, open = nil, {}
  for index = at + 1, flow.ruled and selection == 'tasks' and #ARGV or at do
    local task = tonumber(ARGV[index])
    local known = flow.tasks[task]
    if again[task] and is_not_taken(known) then
      for opened in pairs(edges and {} or again) do
        open[opened] = true
      end
      edges = edges or open_behind(flow, open, digits)
      if rules_of_edges().decide(known.rule, known.most, edges[task], edges[task].left) == PASSES then
        return refused(flow, 'not-taken', ARGV[index], edges[task].cause)
      end
    end
  end
end
refusal = passed_again()
if refusal then
  return refusal
end
anew.behind, anew.cause = behind_given_up(flow, again, anew.is)
if anew.behind and not bring_rules(bodies, again) then
  return refused(flow, 'not-taken', anew.behind, anew.cause)
end

anew.stale = stale_body(flow, bodies, again)
if anew.stale then
  return refused(flow, 'outdated', digits(anew.stale))
end

anew.unneeded, anew.cause = by_need().not_needed_again(flow, again)
if anew.unneeded then
  return refused(flow, 'unneeded', anew.unneeded, anew.cause)
end

local lists =
  { [WAIT] = { n = 0 }, [SUSPEND] = { n = 0 }, [FINISH] = { n = 0 }, [IGNORE] = { n = 0 } }
local ran, unchanged = { n = 0 }, {}
local function list_all()
  local is_all = selection == 'all' and #anew.maps == 0 -- then nobody stays behind one that runs again
  local tasks, numbers, count = flow.tasks, digits_of, 0 -- of `ran`
  for task = 1, flow.count do
    if again[task] then
      local known = tasks[task]
      local status = known.status
      if status == RUNNING then
        return refused(flow, 'running', digits(task))
      elseif not is_all and known.dependents
        and (is_final(known) or (flow.ruled and known.status == SUSPEND)) then
        for _, dependent in ipairs(tasks_behind(known)) do
          local behind = flow.tasks[dependent]
          if not again[dependent] and uses(behind, task) and not by_maps(flow).goes_along(behind, task) then
            if behind.status == RUNNING then
              return refused(flow, 'dependent-running', digits(task), digits(dependent))
            elseif behind.status == FINISH and scope == '' and not kept_waits[dependent] then
              return refused(flow, 'dependent-started', digits(task), digits(dependent))
            end
          end
        end
      end
      if status == WAIT and known.attempt == '0'
        and not messages[digits(task)] and not is_other_body(bodies, task) and not anew.is[task] then
        unchanged[#unchanged + 1] = task -- it waits as it did; only what is before it may change
      else
        local list = lists[status]
        local n = list.n + 1
        count = count + 1
        ran[count] = task
        list[n], list.n = numbers[task] or digits(task), n
      end
    end
  end
  ran.n = count
end
refusal = list_all()
if refusal then
  return refusal
end
for _, task in ipairs(unchanged) do
  again[task] = nil
end
if ran.n == 0 then
  return refused(flow, 'nothing', selection)
end
anew.expanded = maps_to_expand(flow, again, anew.is)
refusal = matched and lacks_earlier(flow, anew.expanded, matched)
if refusal then
  return refusal
end
anew.parameters = {}
for task, message in pairs(messages) do
  local now_is = call('HGET', flow.key, message_field(task))
  if now_is ~= message.now and now_is ~= message.new then
    return refused(flow, 'changed', task)
  end
  anew.parameters[#anew.parameters + 1] = '"' .. task .. '":' .. message.parameters
end

-- The lane beside this one (its name) for tasks with the keys of a message.
local function lane_with_keys(name, message)
  local share, program = match(name, '^([^:]*:[^:]*:[^:/]*)[^:]*(:[^/]*)')
  local name_with = share .. (message.fair_key == '' and '' or '/' .. message.fair_key) .. program
  local window = lane_of(name).window
  if message.workflow_key == '' and message.program_key == '' and not window then
    return name_with
  end
  return name_with .. '/' .. message.workflow_key
    .. (message.program_key == '' and not window and '' or '/' .. message.program_key)
    .. (window and '/' .. window or '')
end

begin_data(flow, bodies, again)

-- What the tasks read from here on; the reply, where results are to be sent with it.
local function read_again()
  for task, message in pairs(messages) do
    local known = flow.tasks[tonumber(task)]
    if message.reads ~= (known.reads or '') then
      known.new_reads = message.reads
    end
  end
  note_new_reads(flow, bodies, again)
  for _, map in ipairs(anew.maps) do
    local known = flow.tasks[map]
    known.new_reads = known.new_reads or by_maps(flow).reads_left(known)
  end
  local missing = missing_results(flow, again, given)
  if #missing > 0 then
    return needs(flow, missing)
  end
  reopen_data(flow, again, given)
  return nil
end

if flow.kept then
  refusal = read_again()
  if refusal then
    return refusal
  end
end

-- New messages hold, and lanes of new keys: as the event has them.
local function move_to_keys()
  local keys = {}
  for task, message in pairs(messages) do
    set(flow, message_field(task), message.new)
    if message.wait ~= '' then
      change_wait(flow, task, message.wait)
    end
    local known = flow.tasks[tonumber(task)]
    local lane = message.keys == '' and known.lane or lane_with_keys(known.lane, message)
    if lane ~= known.lane then
      keys[#keys + 1] = '"' .. task .. '":' .. message.keys
      if known.status == WAIT then -- it leaves the lane of its old keys; reopen pushes it to the other
        unplace(flow, task, known)
        known.moved = true
      end
      known.lane = lane
      set(flow, lane_field(task), lane)
    end
  end
  return keys
end

anew.keys = move_to_keys()
anew.changed = change_bodies(flow, bodies, again)
append_operation(flow, 'flow.rerun', listed('finished', lists[FINISH]) .. listed('ignored', lists[IGNORE])
  .. listed('suspended', lists[SUSPEND]) .. listed('waiting', lists[WAIT])
  .. listed('gone_finished', anew.gone[FINISH]) .. listed('gone_ignored', anew.gone[IGNORE])
  .. listed('gone_suspended', anew.gone[SUSPEND]) .. listed('gone_waiting', anew.gone[WAIT])
  .. listed('matches', matched and anew.expanded or {})
  .. (#anew.changed == 0 and '' or ',"bodies":{' .. concat(anew.changed, ',') .. '}')
  .. (#anew.parameters == 0 and '' or ',"parameters":{' .. concat(anew.parameters, ',') .. '}')
  .. (#anew.keys == 0 and '' or ',"keys":{' .. concat(anew.keys, ',') .. '}')
  .. (is_ending(flow) and ',"ending":true' or ''))
match_later(flow, anew.expanded, matched)
by_maps(flow).drop_items(anew.maps)
if of_children == '^' then
  keep_child(flow, ARGV[at + 1])
end
go_on(flow)
anew.in_lanes = reopen(flow, again)
if flow.ruled then
  redecide(flow, anew.in_lanes)
else
  count_active(flow)
end
return conclude(flow, ran)
