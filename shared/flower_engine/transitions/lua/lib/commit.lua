-- The end of a call that changed flows: what follows from its changes, in the order that each needs, and then
-- everything is written.
-- needs: bells, children, events, fanout_notes, flows, freed, kept_results, limits, places, ready, scheduled
-- needs: waits

-- What follows: places, boards and lanes are as the changes leave them. `take_first`, if given, may take what
-- became ready before it gets into lanes.
local function settle(take_first)
  begin_waits()
  settle_children()
  settle_places()
  while #to_await > 0 do -- of flows that got a place
    begin_waits()
    settle_children()
    settle_places()
  end
  open_freed()
  if take_first then
    take_first()
  end
  save_lanes()
  mend_lanes()
end

-- Whether a flow of this call keeps results, or did.
local function is_keeping()
  for index = 1, #flow_ids do
    local flow = flows[flow_ids[index]]
    if flow and flow.kept then
      return true
    end
  end
  return kept_by ~= 0
end

-- Everything is written; taken[lane]: how many tasks a claim took of it.
local function save_call(taken)
  ring(taken)
  ring_freed()
  if #limit_names > 0 then
    save_limits()
  end
  if is_keeping() then
    save_kept()
  end
  settle_schedules()
  save_flows()
  save_fanout_notes()
  save_events()
end

local function commit()
  settle()
  save_call()
end
