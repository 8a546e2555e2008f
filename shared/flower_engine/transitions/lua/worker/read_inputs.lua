#!lua flags=no-writes,allow-oom
-- read_inputs: what a claimed task reads and its claim's reply did not hold, page by page.
-- needs: base, flow_fields, flows, inputs, meta, statuses
--
-- Guarantees: only who holds the task's current lease is answered. Changes nothing.
-- ARGV: generation, lease, member "<flow>:<task>", most bytes, tasks whose results are wanted...
-- Reply: {"ok", {result for each of the first tasks}} (at least one of them, and no more than the bytes),
--   {"gone"}: the lease is not the task's current one, or {"lost"}. Cost: linear in what it answers.
local generation, lease, member, most = unpack(ARGV, 1, 4)
if current_generation ~= generation then
  return { 'lost' }
end
local id, task = split_member(member)
local flow, state = load_task(id, task, dependents_field(task))
local status, _, _, current = match(state or NEVER, STATE)
if status ~= RUNNING or current ~= lease or not flow.kept then
  return { 'gone' }
end
local results, payloads = {}, {}
add_results(results, flow, { unpack(ARGV, 5, 4 + MOST_INPUTS) }, tonumber(most), true)
for index = 2, #results, 2 do
  payloads[index / 2] = results[index]
end
return { 'ok', payloads }
