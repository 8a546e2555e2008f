#!lua flags=allow-oom
-- decide: what decisions came to, and maps that have nothing to expand, or whose items have ended.
-- needs: awaiting, base, commit, events, failed_for_good, flow_fields, flows, meta, statuses, waits
--
-- Guarantees: the first one counts that is of the attempt in which the task awaits; all others change
--   nothing. The task is Finish together with its event, and its branches go on or are passed over; one that
--   cannot be decided is suspended, and what its definition says of failures follows. Safe to send twice.
-- ARGV: generation, who decided (JSON), then for each: "<flow>:<task>", attempt, "t" | "f" | "r" (what a flow
--   returns) | "x" (it cannot be decided) | of a map "m", or "b" (its result is in a blob), the JSON of its
--   result, of the error, or of the BlobRef
-- Reply: {"ok", {word for each}} or {"lost"}. Words: ok | stale. Cost: linear in them and their dependents
--   (wide ones in steps, see release.lua).
local generation, by = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end
local words = {}
for index = 3, #ARGV, 4 do
  local member, wanted, says, payload = unpack(ARGV, index, index + 3)
  local id, task = split_member(member)
  local flow, state = load_task(id, task, wait_field(task))
  local _, attempt, lost, lease = match(flow and state or NEVER, STATE)
  if not flow or attempt ~= wanted or not is_decided(match(lease, AWAITED)) then
    words[#words + 1] = 'stale'
  elseif says == 'x' then
    stop_awaiting(flow, task, lease)
    set_state(flow, task, SUSPEND, attempt, lost, NO_LEASE)
    change_active(flow, -1)
    append('{"type":"task.overdue' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
      .. ',"error":' .. payload .. '}')
    hold_waiting(flow, task, attempt, lost, payload)
    words[#words + 1] = 'ok'
  else
    local of_decision = (says == 't' or says == 'f') and says or nil
    end_wait(flow, task, state, by, payload, nil, of_decision, says == 'b')
    words[#words + 1] = 'ok'
  end
end
commit()
return { 'ok', words }
