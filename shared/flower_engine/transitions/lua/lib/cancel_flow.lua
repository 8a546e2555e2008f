-- Cancelling a flow: everything that is not final becomes Ignore, and what runs loses its lease; but for its
-- cleanup, which goes on, if it has one, and for tasks whose children are under way, which wait for the end
-- of those. (A flow that has ended has nothing left.)
-- `by` and `reason` are JSON texts. Returns the tasks that were cut off.
-- needs: base, cleanup, events, flow_fields, flows, ready, statuses, timers, tree_notes, whole_flow
local function cancel_flow(flow, by, reason)
  local spared, parents = read_cleanup(flow)
  if spared or parents then
    return begin_cleanup(flow, spared or {}, ENDING_BY_CANCEL, ',"cause":"cancel","by":' .. by
      .. ',"reason":' .. reason, parents)
  end
  local lists, cut_off = { [WAIT] = {}, [RUNNING] = {}, [SUSPEND] = {} }, {}
  local in_lanes, lane_before, of_lane = {}, nil, nil -- what is in a lane, by that
  for task = 1, flow.count do
    local known = flow.tasks[task]
    local status = known.status
    local list, text = lists[status], digits(task)
    if list and known.kind ~= GIVEN_UP then
      list[#list + 1] = text
      cut_off[#cut_off + 1] = text
      if status == WAIT and known.lease == NO_LEASE then
        if known.lane ~= lane_before then
          lane_before = known.lane
          of_lane = in_lanes[lane_before] or {}
          in_lanes[lane_before] = of_lane
        end
        of_lane[#of_lane + 1] = text
      elseif status == WAIT then
        unplace(flow, text, known)
      elseif status == RUNNING then
        end_lease(flow, text, known)
      else
        if flow.ruled then
          drop_timer(hold_timer(flow.id, text))
        end
        leave_held(flow, text, known)
      end
    end
  end
  for lane, texts in pairs(in_lanes) do
    pull_many(lane, flow, texts)
  end
  append('{"type":"flow.cancelled' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"by":' .. by
    .. ',"reason":' .. reason .. listed('waiting', lists[WAIT]) .. listed('running', lists[RUNNING])
    .. listed('suspended', lists[SUSPEND]) .. '}')
  flow.left, flow.is_cancelled = 0, true
  return cut_off
end
