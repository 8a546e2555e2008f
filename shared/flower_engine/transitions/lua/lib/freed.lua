-- Limits that were freed in this call: claims look again at what waits for them, and workers hear of it.
-- needs: base, bells, boards, keys, lanes, limits

-- Has claims look again at what waits for limits that were freed.
local function open_freed()
  for _, limit in pairs(freed) do
    if room_in(limit, 1) > 0 then
      for queue in string.gmatch(call('HGET', boards_key(), limit.board) or '', '[^,]+') do
        open_board(queue, limit.board)
      end
    end
  end
end

-- Rings for what waits on a board and may be taken: for the first lanes of its first share.
local function ring_board(queue, board)
  local share = call('ZRANGE', ready_key(queue, board), 0, 0)[1]
  if share then
    for _, name in ipairs(call('ZRANGE', share_key(share, board), 0, 3)) do
      ring_bells(queue, lane_of(name).program, 1)
    end
  end
end

-- Rings where a freed unit is still to be had.
local function ring_freed()
  for name, limit in pairs(freed) do
    if room_in(limit, 1) > 0 then
      local queue_alone = match(name, '^q:(.*)$')
      if name == 'g' or queue_alone then
        for _, queue in ipairs(queue_alone and { queue_alone } or call('SMEMBERS', queues_key())) do
          ring_board(queue, '')
        end
      end
      for queue in string.gmatch(call('HGET', boards_key(), limit.board) or '', '[^,]+') do
        if call('ZSCORE', open_key(queue), limit.board) then
          ring_board(queue, limit.board)
        end
      end
    end
  end
end
