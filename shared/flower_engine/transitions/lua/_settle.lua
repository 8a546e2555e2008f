-- What follows from the changes of a call, in the order that each needs.

-- Before claims: places, boards and lanes are as the changes leave them. `hand_over`, if given, may take what
-- became ready before it gets into lanes.
local function settle(hand_over)
  settle_places()
  open_freed()
  if hand_over then
    hand_over()
  end
  save_lanes()
  mend_lanes()
end

-- At the end of a call; taken[lane]: how many tasks a claim took of it.
local function finish_call(taken)
  ring(taken)
  ring_freed()
  save_limits()
  save_flows()
end
