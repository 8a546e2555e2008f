-- An attempt that ends without an outcome: whoever holds its lease is gone, or gives it back.
-- needs: base, flow_fields, flows, limits, statuses, suspects, timers

-- Takes the attempt from its worker; its flow, task, attempt, losses and lane. Nothing, for an entry that no
-- task points to: it is only to be removed.
local function take_from_worker(worker, queue, lease, member)
  local id, task = split_member(member)
  local flow, state, lane = load_task(id, task, lane_field(task))
  local status, attempt, lost, current = match(state or NEVER, STATE)
  if status ~= RUNNING or current ~= lease then
    return nil
  end
  drop_suspect(worker, queue, lease)
  count_ended(lane)
  if flow.timed then
    drop_timer(attempt_timer(id, task))
  end
  return flow, task, attempt, lost, lane
end
