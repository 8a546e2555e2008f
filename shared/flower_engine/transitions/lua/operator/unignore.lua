#!lua
-- unignore: ignored tasks wait again, while nothing that depends on them has gone on.
-- needs: base, cleanup, gone_items, operation, places, statuses, whole_data, whole_flow, whole_reading
-- needs: whole_rules
--
-- Guarantees: as rerun, one event a task. Refused as a whole where a task is not Ignore, or where a
--   dependent, of it or of what rules open behind it, runs, retries, awaits, is suspended or finished; or
--   where the flow is ending, and it is not of its cleanup. What joins cancelled that counted on these waits
--   again, too, as far as they need it now.
-- ARGV: see operation.lua; its own: number of results; behind the fields: for each result that was needed:
--   task, attempt, payload; then tasks...
-- Reply: see operation.lua. Cost: linear in the flow's tasks and edges.
local generation, operation, id, by, version, restored, results = unpack(ARGV, 1, 7)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 8)
if not flow then
  return reply
end
load_whole(flow)
local again, tasks, first = {}, {}, behind_fields(restored, 8)
local given = results_given(ARGV, first, tonumber(results))

-- Somebody who waits for a task, and has gone on without it; nil: nobody has.
local function begun_behind(task)
  for dependent in string.gmatch(flow.tasks[task].dependents or '', '%d+') do
    local behind = flow.tasks[tonumber(dependent)]
    local has_begun = is_away(behind) or by_maps(flow).began_with(behind, task)
      or (behind.status ~= WAIT and behind.status ~= IGNORE)
    if has_begun and uses(behind, task) then
      return dependent
    end
  end
  return nil
end

for index = first + 3 * results, #ARGV do
  local task = tonumber(ARGV[index])
  local known = flow.tasks[task]
  if not known then
    return refused(flow, 'unknown', ARGV[index])
  elseif known.status ~= IGNORE or known.vanished
    or (flow.ruled and known.kind and known.kind ~= 'p') then
    return refused(flow, 'not-ignored', ARGV[index])
  end
  local dependent = begun_behind(task)
  if dependent then
    return refused(flow, 'unignore-started', ARGV[index], dependent)
  end
  if not again[task] then
    again[task] = true
    tasks[#tasks + 1] = digits(task)
  end
end
local behind, spared = {}, is_ending(flow) and spared_tasks(flow) or nil
local function open_too(task)
  behind[#behind + 1] = digits(task)
end
if flow.ruled then
  repeat
    open_behind(flow, again, open_too)
  until not by_need().open_needed(flow, again, spared, open_too)
end
for _, text in ipairs(behind) do
  local dependent = begun_behind(tonumber(text))
  if dependent then
    return refused(flow, 'unignore-started', text, dependent)
  end
end
local stays, cause = behind_given_up(flow, again)
if stays then
  return refused(flow, 'not-taken', stays, cause)
end
local nobody_needs, join = by_need().not_needed_again(flow, again)
if nobody_needs then
  return refused(flow, 'unneeded', nobody_needs, join)
end
for task in pairs(spared and again or {}) do
  if not spared[task] then
    return refused(flow, 'ending', digits(task))
  end
end
if flow.kept then
  local missing = missing_results(flow, again, given)
  if #missing > 0 then
    return needs(flow, missing)
  end
  reopen_data(flow, again, given)
end
for index, task in ipairs(tasks) do
  append_operation(flow, 'task.unignored',
    ',"task":' .. task .. (index == #tasks and listed('behind', behind) or '')
      .. (is_ending(flow) and ',"ending":true' or ''))
end
go_on(flow)
local in_lanes = reopen(flow, again)
if flow.ruled then
  redecide(flow, in_lanes)
else
  count_active(flow)
end
return conclude(flow, tasks)
