-- The choice of the next task: the one place that decides who goes first.
--
-- Strict priority, then turns among shares (see boards.lua), then, within a share's turn, the best task over
-- all its lanes. While several shares of one priority wait, each is served QUANTUM tasks a turn. A lane that
-- this worker does not serve, or that a limit stops, is moved to the board of its program or limit, so no
-- claim passes over it again.
-- needs: base, boards, engine_time, flow_control, keys, lanes, limits, suspects
local QUANTUM = 8
local MOST_MOVED = 200 -- lanes moved in one call; the next one goes on

local boards_looked_at, moved_lanes, opens_in = {}, 0, nil

-- Limits of rates that may let tasks start again by now are looked at again.
local function open_due(queue)
  local due_key = reopen_key(queue)
  for _, board in ipairs(call('ZRANGE', due_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)) do
    call('ZREM', due_key, board)
    open_board(queue, board)
  end
  local soonest = call('ZRANGE', due_key, 0, 0, 'WITHSCORES')[2]
  if soonest and (not opens_in or soonest - now < opens_in) then
    opens_in = soonest - now
  end
end

-- The first share of a board: {board, share, raw, turn, has_rival: whether another one of its priority waits
-- there}; nil: it is empty. A share that was left behind,
-- because nothing of it could be served, has the turn of the service now, so that it catches nothing up.
local function peek(queue, board)
  local ready, turns = ready_key(queue, board), turns_key(queue)
  while true do
    local top = call('ZRANGE', ready, 0, 1, 'WITHSCORES')
    local share, raw = top[1], tonumber(top[2])
    if not share then
      return nil
    end
    local got = call('ZMSCORE', turns, share, '@' .. match(share, ':([^:]*)'))
    local turn = tonumber(got[1] or 0)
    if turn <= raw then
      return { board = board, share = share, raw = raw, turn = math.max(raw, tonumber(got[2] or 0)),
        has_rival = top[4] and floor(top[4] / TURNS) == floor(raw / TURNS) }
    end
    call('ZADD', ready, got[1], share) -- it was served from another board since
  end
end

-- The first share of the limits' boards that are open.
local function peek_open(queue)
  local open = open_key(queue)
  while true do
    local top = call('ZRANGE', open, 0, 0, 'WITHSCORES')
    if not top[1] then
      return nil
    end
    local found = peek(queue, top[1])
    if not found then
      call('ZREM', open, top[1])
    elseif found.raw > tonumber(top[2]) then
      call('ZADD', open, string.format('%d', found.raw), top[1])
    else
      return found
    end
  end
end

local function head_of(share, board)
  return tonumber(call('ZRANGE', share_key(share, board), 0, 0, 'WITHSCORES')[2])
end

-- The boards that this worker looks at, but for those of limits.
local function boards_served(worker, queue, serves)
  local boards = boards_looked_at[queue]
  if not boards then
    boards = { '' }
    for _, program in ipairs(call('SMEMBERS', split_key(queue))) do
      if may_take(worker, queue, program, serves) then
        boards[#boards + 1] = '|@' .. program
      end
    end
    boards_looked_at[queue] = boards
  end
  return boards
end

-- Where the next task of a queue waits: {board, share, turn, bound: score that no lane of this board may
-- pass, because the share has a better task on another board}; and whether no other share can be a rival.
local function next_place(worker, queue, serves)
  if not has_control then
    local top = call('ZRANGE', ready_key(queue, ''), 0, 1, 'WITHSCORES')
    if not top[1] then
      return nil
    end
    local turn = tonumber(top[2])
    local alone = not top[3] or floor(tonumber(top[4]) / TURNS) ~= floor(turn / TURNS)
    return { board = '', share = top[1], turn = turn }, alone
  end
  local best = peek_open(queue)
  local boards, share = boards_served(worker, queue, serves), best and best.share
  local alone = not best or (not best.has_rival and call('ZCARD', open_key(queue)) == 1)
  for _, board in ipairs(boards) do
    local other = peek(queue, board)
    if other then
      share = share or other.share
      alone = alone and share == other.share and not other.has_rival
    end
    local is_tie = other and best and other.turn == best.turn
    if other and (not best or other.turn < best.turn or (is_tie and other.raw < best.raw)) then
      best = other
    end
  end
  if best then -- the share may have a better task on another board
    local head = head_of(best.share, best.board)
    for _, board in ipairs(boards) do
      local other = board ~= best.board and head_of(best.share, board)
      if other then
        best.bound = math.min(best.bound or math.huge, math.max(head, other))
        if other < head then
          head, best.board = other, board
        end
      end
    end
  end
  return best, alone
end

-- How many tasks of a lane may start, at most `most`; where none may, the limit that stops it.
local function room_for(lane, place, most)
  for _, limit in ipairs(limits_of(lane)) do
    local room, wait = room_in(limit, lane.units)
    if room > 0 and limit.max and place.board ~= limit.board then
      -- A heavier task may wait for just this room; it must not be overtaken from behind.
      local first = call('ZRANGE', ready_key(lane.queue, limit.board), 0, 0, 'WITHSCORES')[2]
      if first and tonumber(first) <= place.turn
        and not call('ZSCORE', open_key(lane.queue), limit.board) then
        room = 0
      end
    end
    if room <= 0 then
      return 0, limit, wait
    end
    most = math.min(most, room)
  end
  return most
end

-- A limit stops the lane: it is set aside, or its board is closed, or (a limit of the whole queue) the claim
-- ends: then true.
local function stop(lane, place, limit, wait, head)
  if limit.name == 'g' or limit.name == 'q:' .. lane.queue then
    return true
  elseif place.board == limit.board then
    call('ZREM', open_key(lane.queue), limit.board)
  else
    set_aside(lane, place.board, limit.board, head)
    moved_lanes = moved_lanes + 1
  end
  if wait then
    call('ZADD', reopen_key(lane.queue), string.format('%d', now + wait), limit.board)
    opens_in = math.min(opens_in or wait, wait)
  end
  return false
end

-- Takes up to `most` tasks of a place into `out` ({member, lane, ...}). Returns how many, and whether the
-- claim goes on, with another place.
local function take(worker, place, most, serves, out, taken)
  local lanes_key = share_key(place.share, place.board)
  local got = 0
  while got < most do
    local top = call('ZRANGE', lanes_key, 0, 1, 'WITHSCORES')
    if not top[1] then
      return got, true
    end
    local lane, head = lane_of(top[1]), tonumber(top[2])
    local bound = math.min(tonumber(top[4] or math.huge), place.bound or math.huge)
    if not may_take(worker, lane.queue, lane.program, serves) then
      set_aside(lane, place.board, '|@' .. lane.program, head)
      boards_looked_at[lane.queue] = nil
      moved_lanes = moved_lanes + 1
      return got, moved_lanes < MOST_MOVED
    end
    local is_suspect = sub(lane.program, 1, 1) == SUSPECT
    local wanted = is_suspect and 1 or math.min(most - got, CHUNK)
    if has_control then
      local limit, wait
      wanted, limit, wait = room_for(lane, place, wanted)
      if wanted == 0 and got > 0 and place.board == limit.board then
        return got, true -- its turn moves on now; what is first on the board then may be light enough
      elseif wanted == 0 then
        local ends = stop(lane, place, limit, wait, head)
        return got, not ends and moved_lanes < MOST_MOVED
      end
    end
    local heads = call('ZRANGE', lane.key, 0, wanted, 'WITHSCORES') -- one more than may be taken
    local count, at = 0, #out
    while count < wanted and heads[2 * count + 1] and tonumber(heads[2 * count + 2]) <= bound do
      out[at + 1] = heads[2 * count + 1]
      out[at + 2] = lane.name
      at = at + 2
      count = count + 1
    end
    if count > 0 then -- else its score in the share was wrong, and is mended here
      call('ZREMRANGEBYRANK', lane.key, 0, count - 1)
      got = got + count
      taken[lane.name] = (taken[lane.name] or 0) + count
      if has_control then
        count_running(lane, count)
      end
      if is_suspect then
        take_suspect()
      end
    end
    local left = heads[2 * count + 2]
    if left then
      call('ZADD', lanes_key, left, lane.name)
    else
      hide(lane, place.board)
      if not top[3] then
        return got, true -- the share is empty here
      end
    end
    if place.bound and (not left or tonumber(left) > place.bound) then
      return got, true -- its better task may be on another board now
    end
  end
  return got, true
end

-- Takes up to `wanted` tasks of a queue whose programs are in `serves`; returns how many.
local function choose(worker, queue, wanted, serves, out, taken)
  if has_control then
    open_due(queue)
    local limit = limit_of('q:' .. queue)
    if limit and limit.paused then
      return 0
    end
  end
  local turns = turns_key(queue)
  local got, goes_on = 0, true
  while got < wanted and goes_on do
    local place, alone = next_place(worker, queue, serves)
    if not place then
      break
    end
    local most = alone and wanted - got or math.min(wanted - got, QUANTUM)
    local count
    count, goes_on = take(worker, place, most, serves, out, taken)
    if count > 0 then
      got = got + count
      local lane = lane_of(out[#out])
      local stride = has_control and call('HGET', limits_key(), 'v:' .. lane.workflow) or STRIDE
      local turn = string.format('%d', place.turn + count * stride)
      call('ZADD', turns, 'GT', turn, place.share, string.format('%d', place.turn), '@' .. lane.priority)
      call('ZADD', ready_key(queue, place.board), 'XX', turn, place.share)
    end
  end
  return got
end
