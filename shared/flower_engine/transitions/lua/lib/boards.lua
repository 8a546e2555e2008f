-- Boards: where claims look for lanes. A lane with tasks is on exactly one board of its queue:
--   ''            the queue itself
--   '|@<program>' lanes of a program that some worker who came by does not serve
--   '|<limit>'    lanes set aside because that limit was reached (see limits.lua); looked at while it is in
--                 open:<queue>
-- ready:<queue><board> holds the board's shares by turn, share:<share><board> a share's lanes by their best
-- task. "aside" says of a lane on which board it is (absent: the queue itself), "boards" which boards of
-- limits and programs there are: board -> "<queue>,...".
--
-- Turns: start-time fair queueing (Goyal, Vin and Cheng, 1996). A share's turn is (priority + 20) * 2^47 +
-- its tag; each task served moves its tag on by STRIDE / weight; the lowest is served next. A share that
-- comes (back) begins where the service of its priority is ("@<priority>"), or where it left if it was
-- ahead, so that leaving and returning gains nothing. turns:<queue> holds both.
-- needs: base, flow_control, keys, limits
-- layer: 2
local TURNS = 2 ^ 47
local STRIDE = 100

local function is_of_limit(board)
  return board ~= '' and sub(board, 2, 2) ~= '@'
end

-- The board's queues: it begins, or it is empty and ends.
local function note_board(queue, board, is_there)
  local queues = {}
  for other in string.gmatch(call('HGET', boards_key(), board) or '', '[^,]+') do
    if other ~= queue then
      queues[#queues + 1] = other
    end
  end
  if is_there then
    queues[#queues + 1] = queue
  end
  if #queues > 0 then
    call('HSET', boards_key(), board, concat(queues, ','))
  else
    call('HDEL', boards_key(), board)
  end
  if is_of_limit(board) then
    if not is_there then
      call('ZREM', open_key(queue), board)
      call('ZREM', reopen_key(queue), board)
    end
  else
    call(is_there and 'SADD' or 'SREM', split_key(queue), sub(board, 3))
  end
end

-- The board of a lane that gets a task.
local function board_of(lane)
  if not has_control then
    return ''
  end
  local board = call('HGET', aside_key(), lane.name)
  if board then
    return board
  elseif call('ZSCORE', share_key(lane.share, ''), lane.name) then
    return '' -- it waits there since before its program got a board
  elseif call('SISMEMBER', split_key(lane.queue), lane.program) == 1 then
    board = '|@' .. lane.program
    call('HSET', aside_key(), lane.name, board)
    return board
  end
  return ''
end

-- The turn of a share that comes to a board.
local function turn_of(lane)
  local base = (lane.priority + 20) * TURNS
  local got = call('ZMSCORE', turns_key(lane.queue), lane.share, '@' .. lane.priority)
  return string.format('%d', math.max(base, tonumber(got[1] or 0), tonumber(got[2] or 0)))
end

-- Looks at a board of a limit from now on, until it proves full.
local function open_board(queue, board)
  local top = call('ZRANGE', ready_key(queue, board), 0, 0, 'WITHSCORES')[2]
  if top then
    call('ZADD', open_key(queue), top, board)
  end
end

-- Makes a lane visible on a board; `head` is the score of its best new task.
local function show(lane, board, head)
  call('ZADD', share_key(lane.share, board), 'LT', string.format('%d', head), lane.name)
  local ready = ready_key(lane.queue, board)
  if not call('ZSCORE', ready, lane.share) then
    local is_new = board ~= '' and call('EXISTS', ready) == 0
    local turn = turn_of(lane)
    call('ZADD', ready, turn, lane.share)
    if is_new then
      note_board(lane.queue, board, true)
    elseif is_of_limit(board) then
      call('ZADD', open_key(lane.queue), 'XX', 'LT', turn, board)
    end
  end
  if is_of_limit(board) and has_room(sub(board, 2), lane.units) then
    open_board(lane.queue, board)
  end
end

-- Takes a lane off its board.
local function hide(lane, board)
  local lanes_key = share_key(lane.share, board)
  if call('ZREM', lanes_key, lane.name) == 1 and call('EXISTS', lanes_key) == 0 then
    local ready = ready_key(lane.queue, board)
    call('ZREM', ready, lane.share)
    if board ~= '' and call('EXISTS', ready) == 0 then
      note_board(lane.queue, board, false)
    end
  end
  if board ~= '' then
    call('HDEL', aside_key(), lane.name)
  end
end

-- The lane has lost tasks: its best one may be another, or it is empty.
local function mend(lane, board)
  local head = call('ZRANGE', lane.key, 0, 0, 'WITHSCORES')
  if head[1] then
    call('ZADD', share_key(lane.share, board), head[2], lane.name)
  else
    hide(lane, board)
  end
  if is_of_limit(board) and has_room(sub(board, 2), 1) then
    open_board(lane.queue, board) -- what stands first now may fit where the other did not
  end
end

-- Moves a lane to another board.
local function set_aside(lane, from, to, head)
  begin_control()
  hide(lane, from)
  call('HSET', aside_key(), lane.name, to)
  show(lane, to, head)
end
