#!lua flags=allow-oom
-- release_flows: schedules wait no more for flows that nobody knows.
-- needs: base, engine_time, keys, meta
--
-- Guarantees: a flow that is in Redis (again) is waited for as before. Safe to send twice. No event: nothing
--   happened to the flow, and the slot that waited for it has its own.
-- ARGV: generation, for each flow: uid of its schedule, flow
-- Reply: {"ok", flows that were waited for...} or {"lost"}. Cost: linear in the flows.
local generation = unpack(ARGV, 1, 1)
if current_generation ~= generation then
  return { 'lost' }
end
local reply = { 'ok' }
for index = 2, #ARGV, 2 do
  local uid, id = ARGV[index], ARGV[index + 1]
  if call('EXISTS', flow_key(id)) == 0 and call('ZREM', schedule_flows_key(uid), id) == 1 then
    reply[#reply + 1] = id
    if call('HEXISTS', schedule_key(uid), 'h') == 1 then
      call('ZADD', schedules_key(), string.format('%d', clock), uid)
    end
  end
end
return reply
