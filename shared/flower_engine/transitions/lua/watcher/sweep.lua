#!lua flags=allow-oom
-- sweep: waiting tasks of a lane that strikes meet are passed over now, not only when their turn comes.
-- needs: base, commit, common_fields, flow_fields, flows, lanes, meta, ready, release, rounds, statuses
-- needs: strikes
--
-- Guarantees: each task leaves its lane, becomes Ignore and frees its dependents together with its event.
--   Safe to send twice.
-- ARGV: generation, lane, score behind which to go on ("-inf": from the first), most tasks to look at
-- Reply: {"ok", score to go on behind ("": the lane has no more), tasks passed over} or {"lost"}.
-- Cost: linear in the tasks looked at and in the dependents of those passed over (wide ones in steps).
local generation, lane_name, behind, most = unpack(ARGV, 1, 4)
if current_generation ~= generation then
  return { 'lost' }
end
local lane = lane_of(lane_name)
local from = behind == '-inf' and '-inf' or '(' .. behind
local found = call('ZRANGE', lane.key, from, '+inf', 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
local struck = {}
for index = 1, #found, 2 do
  local id, task = split_member(found[index])
  local flow, state, message = load_task(id, task, message_field(task))
  local status, attempt, lost = match(state or NEVER, STATE)
  local round = flow and attempt ~= '0' and call('HGET', flow.key, round_field(task))
  local strike = flow and message and strike_on(flow, lane, with_round(message, round))
  if strike and status == WAIT then
    pull(lane.name, flow, task)
    pass_over(flow, task, attempt, lost, strike)
    struck[#struck + 1] = { flow, task }
  end
end
for _, passed in ipairs(struck) do
  local dependents = field_of(passed[1], dependents_field(passed[2]))
  if dependents then
    release(passed[1], passed[2], dependents, nil, 'o')
  end
end
commit()
return { 'ok', #found < 2 * most and '' or found[#found], #struck }
