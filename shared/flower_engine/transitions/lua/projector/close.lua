#!lua flags=allow-oom
-- close: flows that Postgres takes for open and that Redis knows nothing of are ended, each with its event.
-- needs: base, engine_time, events, keys, meta
--
-- Guarantees: a flow that is under way (again) stays as it is. Safe to send twice: it is ended once.
-- ARGV: generation, for each flow: id, version, the fields of its event between "type" and the value of "at"
--   (JSON)
-- Reply: {"ok", flows closed...} or {"lost"}. Cost: linear in the flows.
local generation = unpack(ARGV, 1, 1)
if current_generation ~= generation then
  return { 'lost' }
end
local reply = { 'ok' }
for index = 2, #ARGV, 3 do
  local id, ending = ARGV[index], ARGV[index + 1] .. ' gap' -- whatever else ended it is what nobody knows
  local ended = ended_key(id)
  if call('EXISTS', flow_key(id)) == 0 then
    if call('GET', ended) ~= ending then
      append('{"type":"flow.cancelled"' .. ARGV[index + 2] .. now .. '}')
      call('SET', ended, ending)
      note_old(endings_key(), id .. ' ' .. ARGV[index + 1])
    end
    reply[#reply + 1] = id
  end
end
save_events()
return reply
