-- What other limits let in: whoever waited for them is looked at again.
-- needs: base, boards, commit, freed, keys, limits, places

-- Limits of these names say something else now; all that there was to do is committed with it.
local function let_in(names)
  local is_changed, resumed = {}, {}
  for _, name in ipairs(names) do
    is_changed[name] = true
    local workflow = match(name, '^f:(.*)$')
    if workflow then
      admit(workflow)
    elseif name == 'g' then
      resumed = call('SMEMBERS', queues_key())
    elseif sub(name, 1, 2) == 'q:' then
      resumed[#resumed + 1] = sub(name, 3)
    end
  end
  local boards = call('HGETALL', boards_key())
  for index = 1, #boards, 2 do
    local board = boards[index]
    if is_changed[match(board, '^|([^/]*)')] then
      for queue in string.gmatch(boards[index + 1], '[^,]+') do
        call('ZREM', reopen_key(queue), board)
        if has_room(sub(board, 2), 1) then
          open_board(queue, board)
          ring_board(queue, board)
        end
      end
    end
  end
  commit()
  for _, queue in ipairs(resumed) do
    ring_board(queue, '')
  end
end
