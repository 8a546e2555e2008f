#!lua flags=allow-oom
-- decisions: what is to be decided, with what its conditions read; and maps that are to be expanded, or whose
-- items have ended.
-- needs: awaiting, base, engine_time, flow_fields, flows, inputs, items, keys, meta
--
-- Guarantees: no lease. Whoever is given a decision is the only one for HANDED_MS, so that not all evaluate
--   the same; then it is given to the next one, until somebody has handed in what it came to (decide.lua).
-- ARGV: generation, ms for which nobody has decided, most
-- Reply: {"ok", {"<flow>:<task>", attempt, message, {"<flow>:<task>", its result, ...}, of a map {its lane,
--   its policy, "<first of its items> <how many>" ("": it has none yet), {their results}, how many of them
--   were given up, and where its list tells what became of them {status and kind, "": it has a result}
--   and {why, as JSON text, ""} of each}, else {}, ...}} or {"lost"}.
--   Results are as finish_and_claim gives them; of the first decision whatever their size, and of others as
--   far as all together fit into a reply. Cost: linear in what it answers.
local generation, least_ms, most = unpack(ARGV, 1, 3)
if current_generation ~= generation then
  return { 'lost' }
end
local HANDED_MS = 300
local due = string.format('%d', now_ms - tonumber(least_ms))
local found, scores, left = {}, {}, MOST_INPUT_BYTES
for _, member in ipairs(call('ZRANGE', decide_key(), '-inf', due, 'BYSCORE', 'LIMIT', 0, most)) do
  local id, task = split_member(member)
  local flow, state, message = load_task(id, task, message_field(task))
  local _, attempt, _, lease = match(flow and state or NEVER, STATE)
  local kind = match(lease, AWAITED)
  if not flow or not is_decided(kind) then
    if call('ZREM', decide_key(), member) == 1 then -- it must stop nobody
      call('HINCRBY', meta_key(), 'decide', -1)
    end
  else
    local wanted, results, of_map = reads_of_message(message), {}, {}
    if kind == 'map' then
      local got = call('HMGET', flow.key, lane_field(task), policy_field(task), items_field(task))
      if #found > 0 and got[3] and flow.kept > left then
        break
      end
      of_map = { got[1], got[2] or '', got[3] or '', got[3] and results_of_items(flow, got[3]) or {},
        got[3] and flow.ruled and given_up_of(flow, task) or '0', {}, {} }
      if got[3] and string.find(message, '"outcomes":true', 1, true) then
        of_map[6], of_map[7] = ends_of_items(flow, got[3], of_map[4])
      elseif got[3] then
        wanted = {} -- else its list may tell keys, which stand in what it goes over
      end
    end
    if #found > 0 and left <= 0 then
      break
    elseif #wanted > 0 then
      left = left - add_results(results, flow, wanted, math.huge, true)
    end
    local n = #found
    found[n + 1], found[n + 2], found[n + 3], found[n + 4] = member, attempt, message, results
    found[n + 5] = of_map
    scores[#scores + 1] = string.format('%d', now_ms + HANDED_MS)
    scores[#scores + 1] = member
  end
end
if #scores > 0 then
  call('ZADD', decide_key(), 'XX', unpack(scores))
end
return { 'ok', found }
