-- Lanes: where ready tasks wait. A lane is named
--   "<queue>:<priority>:<workflow>[/<fair key>]:[!]<program>[*<units>][/<workflow's key>[/<program's key>]]"
-- up to the last ":" is its share, which fairness serves; see _suspects for "!".
--
-- Within a lane the score puts flows that are further ahead first, then the earlier registered one, then
-- the lower task number: (1023 - done, capped) * 2^42 + order + task. It stays below 2^53.
local AHEAD, AHEAD_CAP = 2 ^ 42, 1023
local BELLS = 1000 -- at most so many bells of a kind hang; each wakes one blocked worker

local lanes = {}

-- What a lane's name says.
local function lane_of(name)
  local lane = lanes[name]
  if not lane then
    local share, queue, priority, workflow, program, rest =
      match(name, '^(([^:]*):([^:]*):([^:/]*)[^:]*):([^:*/]*)(.*)$')
    lane = { name = name, key = prefix .. 'lane:' .. name, share = share, queue = queue, priority = priority,
      workflow = workflow, program = program, units = 1 }
    if rest ~= '' then
      lane.units = tonumber(match(rest, '^%*(%d+)') or 1)
      lane.workflow_key, lane.program_key = match(rest, '/([^/]*)/?(.*)$')
    end
    lanes[name] = lane
  end
  return lane
end

local pushed, pushed_lanes = {}, {}

-- A task became ready: it will go to its lane, unless its flow is held.
local function push(lane, flow, task)
  if flow.held then
    return
  elseif flow.timed then
    start_queue_timer(flow, task)
  end
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
    local name = pushed_lanes[index]
    local list = pushed[name]
    local lane = lane_of(name)
    call_chunked('ZADD', lane.key, list, CHUNK)
    show(lane, board_of(lane), list.lowest)
  end
end

-- Takes a task out of its lane, if it is there; mend_lanes must follow.
local pulled, pulled_lanes = {}, {}
local function pull(lane, flow, task)
  if not pulled[lane] then
    pulled[lane] = {}
    pulled_lanes[#pulled_lanes + 1] = lane
  end
  local list = pulled[lane]
  list[#list + 1] = flow.id .. ':' .. task
  if flow.timed then
    drop_timer('q', flow, task)
  end
end

-- Removes what was pulled, and makes claims see each lane as it is then.
local function mend_lanes()
  for index = 1, #pulled_lanes do
    local lane = lane_of(pulled_lanes[index])
    call_chunked('ZREM', lane.key, pulled[lane.name], CHUNK)
    mend(lane, board_of(lane))
  end
end

local function ring_bells(queue, program, count)
  local bell = prefix .. 'bell:' .. queue .. ':' .. match(program, '[^!]*$')
  local missing = math.min(count, BELLS - call('LLEN', bell))
  if missing > 0 then
    local bells = {}
    for at = 1, missing do
      bells[at] = '1'
    end
    call('RPUSH', bell, unpack(bells))
  end
end

-- Rings for what was pushed and not taken: taken[lane] says how many tasks a claim took from it.
local function ring(taken)
  for index = 1, #pushed_lanes do
    local lane = pushed_lanes[index]
    local left = #pushed[lane] / 2 - (taken and taken[lane] or 0)
    if left > 0 then
      ring_bells(lane_of(lane).queue, lane_of(lane).program, left)
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
