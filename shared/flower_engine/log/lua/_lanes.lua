-- Lanes: where ready tasks wait. A lane is named "<queue>:<priority>:<workflow>:<program>".
--
-- Within a lane the score puts flows that are further ahead first, then the earlier registered one, then
-- the lower task number: (1023 - done, capped) * 2^42 + order + task. It stays below 2^53.
local AHEAD, AHEAD_CAP = 2 ^ 42, 1023
-- A share's score in ready:<queue> is (priority + 20) * 2^44 + its turn: the lowest is served next.
local TURNS = 2 ^ 44
local BELLS = 1000 -- at most so many bells of a kind hang; each wakes one blocked worker

local pushed, pushed_lanes = {}, {}

-- A task became ready: it will go to its lane.
local function push(lane, flow, task)
  local list = pushed[lane]
  if not list then
    list = { lowest = 2 ^ 53 }
    pushed[lane] = list
    pushed_lanes[#pushed_lanes + 1] = lane
  end
  local score = (AHEAD_CAP - math.min(flow.done, AHEAD_CAP)) * AHEAD + flow.order + task
  if score < list.lowest then
    list.lowest = score
  end
  local n = #list
  list[n + 1] = string.format('%d', score)
  list[n + 2] = flow.id .. ':' .. task
end

-- Puts the pushed tasks into their lanes and makes each lane visible to claims.
local function save_lanes()
  for index = 1, #pushed_lanes do
    local lane = pushed_lanes[index]
    local list = pushed[lane]
    call_chunked('ZADD', prefix .. 'lane:' .. lane, list, CHUNK)
    local share, queue, priority = match(lane, '^(([^:]*):([^:]*):[^:]*):')
    call('ZADD', prefix .. 'share:' .. share, 'LT', string.format('%d', list.lowest), lane)
    local ready = prefix .. 'ready:' .. queue
    if not call('ZSCORE', ready, share) then
      -- A share that comes back keeps its old turn, so leaving and returning gains nothing.
      local turn = call('HGET', prefix .. 'turns:' .. queue, share) or 0
      call('ZADD', ready, (priority + 20) * TURNS + turn, share)
    end
  end
end

-- Rings for what was pushed and not taken: taken[lane] says how many tasks a claim took from it.
local function ring(taken)
  for index = 1, #pushed_lanes do
    local lane = pushed_lanes[index]
    local left = #pushed[lane] / 2 - (taken and taken[lane] or 0)
    if left > 0 then
      local queue, program = match(lane, '^([^:]*):[^:]*:[^:]*:!?(.*)$')
      local bell = prefix .. 'bell:' .. queue .. ':' .. program
      local missing = math.min(left, BELLS - call('LLEN', bell))
      if missing > 0 then
        local bells = {}
        for at = 1, missing do
          bells[at] = '1'
        end
        call('RPUSH', bell, unpack(bells))
      end
    end
  end
end

-- Takes away the bells of a queue for these programs (ARGV from first to last): a claim found their lanes
-- empty, so the bells would wake in vain.
local function silence_bells(queue, first, last)
  local bells = {}
  for program = first, last do
    bells[#bells + 1] = prefix .. 'bell:' .. queue .. ':' .. ARGV[program]
  end
  if #bells > 0 then
    call('DEL', unpack(bells))
  end
end
