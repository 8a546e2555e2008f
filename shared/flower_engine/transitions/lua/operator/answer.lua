#!lua
-- answer: somebody answers an approval that awaits it.
-- needs: awaiting, base, common_fields, engine_time, flow_fields, flows, operation, waits
--
-- Guarantees: each name counts once; with the last one that is needed, or one that says no, the task is
--   Finish together with its event, and its dependents go on. Refused where the task awaits no answer, or not
--   in this attempt, or the name has answered already.
-- ARGV: see operation.lua; its own: task, attempt ("": any), the answer (JSON), whether it says no (1 or 0)
-- Reply: see operation.lua; behind the version the task, where it has ended. Cost: linear in its dependents
--   (wide ones in steps, see release.lua).
local generation, operation, id, by, version, restored, task, attempt, answer, is_no = unpack(ARGV, 1, 10)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 11)
if not flow then
  return reply
end
local got = values_of(flow, { state_field(task), wait_field(task), votes_field(task), lane_field(task) })
if not got[4] then
  return refused(flow, 'unknown', task)
end
local _, current, _, lease = match(got[1] or NEVER, STATE)
local needed = got[2] and match(got[2], '^approval %d+ (%d+) ')
if not needed then
  return refused(flow, 'no-approval', task)
elseif not is_awaiting(lease) then
  return refused(flow, 'not-awaiting', task)
elseif attempt ~= '' and attempt ~= current then
  return refused(flow, 'asked-anew', task, current, attempt)
end
local votes = got[3] or ''
local names = cjson.decode('[' .. votes .. ']')
local name = cjson.decode('[' .. by .. ']')[1]
for _, other in ipairs(names) do
  if other == name then
    return refused(flow, 'answered', task)
  end
end
votes = votes == '' and by or votes .. ',' .. by
if is_no == '1' or #names + 1 >= tonumber(needed) then
  flow[state_field(task)] = got[1]
  end_wait(flow, task, got[1], by, '{"answer":' .. answer .. ',"by":[' .. votes .. '],"at":' .. now .. '}')
  return conclude(flow, { task })
end
append_operation(flow, 'task.voted', ',"task":' .. task .. ',"attempt":' .. current .. ',"names":[' .. votes
  .. '],"answer":' .. answer)
set(flow, votes_field(task), votes)
return conclude(flow, {})
