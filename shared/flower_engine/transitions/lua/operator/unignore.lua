#!lua
-- unignore: ignored tasks wait again, while nothing that depends on them has gone on.
-- needs: base, operation, places, statuses, whole_flow
--
-- Guarantees: as rerun, one event a task. Refused as a whole where a task is not Ignore, or where a
--   dependent runs, retries, is suspended or finished.
-- ARGV: see operation.lua; behind the fields: tasks...
-- Reply: see operation.lua. Cost: linear in the flow's tasks and edges.
local generation, operation, id, by, version, restored = unpack(ARGV, 1, 6)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 7)
if not flow then
  return reply
end
load_whole(flow)
local again, tasks = {}, {}
for index = behind_fields(restored, 7), #ARGV do
  local task = tonumber(ARGV[index])
  local known = flow.tasks[task]
  if not known then
    return refused(flow, 'unknown', ARGV[index])
  elseif known.status ~= IGNORE then
    return refused(flow, 'not-ignored', ARGV[index])
  end
  for dependent in string.gmatch(known.dependents or '', '%d+') do
    local behind = flow.tasks[tonumber(dependent)]
    if is_retrying(behind) or (behind.status ~= WAIT and behind.status ~= IGNORE) then
      return refused(flow, 'unignore-started', ARGV[index], dependent)
    end
  end
  if not again[task] then
    again[task] = true
    tasks[#tasks + 1] = digits(task)
  end
end
for _, task in ipairs(tasks) do
  append_operation(flow, 'task.unignored', ',"task":' .. task)
end
go_on(flow)
reopen(flow, again)
count_active(flow)
return conclude(flow, tasks)
