#!lua flags=no-writes,allow-oom
-- read_items: what the items of a map have come to, page by page, behind those that came with its decision.
-- needs: awaiting, base, flow_fields, flows, items, meta
--
-- Guarantees: all that is told for an attempt of the map is told of the same items: nothing of them changes
--   while it awaits its list. Changes nothing.
-- ARGV: generation, "<flow>:<task>", attempt, from which of its items on (from 1)
-- Reply: {"ok", {result for each of the next items, at least one}, and where the list of the map tells what
--   became of them {status and kind} and {why} of each, else {} and {}; see decisions.lua}, {"gone"}: its list is
--   not to be made any more, or {"lost"}. Cost: linear in what it answers.
local generation, member, wanted, index = unpack(ARGV, 1, 4)
if current_generation ~= generation then
  return { 'lost' }
end
local id, task = split_member(member)
local flow, state, message = load_task(id, task, message_field(task))
local _, attempt, _, lease = match(flow and state or NEVER, STATE)
local items = flow and call('HGET', flow.key, items_field(task))
if attempt ~= wanted or match(lease, AWAITED) ~= 'map' or not items then
  return { 'gone' }
end
local from = tonumber(index)
local results, ends, reasons = results_of_items(flow, items, from, items_at_once(flow, items)), {}, {}
if string.find(message, '"outcomes":true', 1, true) then
  ends, reasons = ends_of_items(flow, items, results, from)
end
return { 'ok', results, ends, reasons }
