-- The choice of the next task: the one place that decides who goes first.
--
-- Strict priority, then turns among workflows (the share served least recently), then, within a
-- workflow's turn, the best task over all its lanes. While several shares of one priority wait, each is
-- served QUANTUM tasks a turn. A share that holds nothing for this worker is passed over, which costs two
-- reads each time.
local QUANTUM = 8

-- A claim takes one suspect at most: forgets the other lanes of suspects; returns how many they were.
local function drop_suspect_lanes(lanes, scores)
  local dropped = 0
  for index = #lanes, 1, -1 do
    if is_suspect_lane(lanes[index]) then
      table.remove(lanes, index)
      table.remove(scores, index)
      dropped = dropped + 1
    end
  end
  return dropped
end

-- Takes up to `wanted` tasks of one share into `out` ({member, lane, ...}); returns how many, and whether
-- the share has nothing left.
local function take_from_share(share, wanted, serves, out, taken)
  local share_key = prefix .. 'share:' .. share
  local found = call('ZRANGE', share_key, 0, -1, 'WITHSCORES')
  local lanes, scores, others = {}, {}, 0
  for index = 1, #found, 2 do
    if may_take(found[index], serves) then
      lanes[#lanes + 1] = found[index]
      scores[#scores + 1] = tonumber(found[index + 1])
    else
      others = others + 1
    end
  end
  local got, changed = 0, {}
  while got < wanted and #lanes > 0 do
    local best, bound = 1, nil
    for index = 2, #lanes do
      if scores[index] < scores[best] then
        best, bound = index, scores[best]
      elseif not bound or scores[index] < bound then
        bound = scores[index]
      end
    end
    local lane = lanes[best]
    local lane_key = prefix .. 'lane:' .. lane
    local suspect = is_suspect_lane(lane)
    local most = suspect and 1 or math.min(wanted - got, CHUNK)
    local heads = call('ZRANGE', lane_key, 0, most, 'WITHSCORES') -- one more than may be taken
    local count, at = 0, #out
    while count < most and heads[2 * count + 1] and (not bound or tonumber(heads[2 * count + 2]) <= bound) do
      out[at + 1] = heads[2 * count + 1]
      out[at + 2] = lane
      at = at + 2
      count = count + 1
    end
    if count > 0 then -- else its score in the share was wrong, and is mended below
      call('ZREMRANGEBYRANK', lane_key, 0, count - 1)
      got = got + count
      taken[lane] = (taken[lane] or 0) + count
      if suspect then
        may_take_suspect = false
      end
    end
    local head = heads[2 * count + 2]
    if head then
      scores[best] = tonumber(head)
      changed[lane] = head
    else
      table.remove(lanes, best)
      table.remove(scores, best)
      changed[lane] = false
    end
    if suspect and count > 0 then
      others = others + drop_suspect_lanes(lanes, scores)
    end
  end
  for index = 1, #found, 2 do
    local head = changed[found[index]]
    if head then
      call('ZADD', share_key, head, found[index])
    elseif head == false then
      call('ZREM', share_key, found[index])
    end
  end
  return got, #lanes + others == 0
end

-- Takes up to `wanted` tasks of a queue whose programs are in `serves`. `turn` is the last turn given out;
-- returns how many tasks were taken and the new last turn.
local function choose(queue, wanted, serves, turn, out, taken)
  local ready = prefix .. 'ready:' .. queue
  local got, skipped = 0, 0
  while got < wanted do
    local top = call('ZRANGE', ready, skipped, skipped + 1, 'WITHSCORES')
    local share = top[1]
    if not share then
      break
    end
    local rank = floor(tonumber(top[2]) / TURNS)
    local alone = not top[3] or floor(tonumber(top[4]) / TURNS) ~= rank
    local most = wanted - got
    if not alone then
      most = math.min(most, QUANTUM)
    end
    local count, emptied = take_from_share(share, most, serves, out, taken)
    if count == 0 then
      skipped = skipped + 1 -- nothing in it for this worker
    else
      got = got + count
      turn = turn + 1
      call('HSET', prefix .. 'turns:' .. queue, share, turn)
      if emptied then
        call('ZREM', ready, share)
      else
        call('ZADD', ready, rank * TURNS + turn, share)
      end
    end
  end
  return got, turn
end
