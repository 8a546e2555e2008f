-- Bells: what wakes workers that wait for tasks.
-- needs: base, keys, lanes, ready
local BELLS = 1000 -- at most so many of a kind hang; each wakes one blocked worker

local function ring_bells(queue, program, count)
  local bell = bell_key(queue, plain_program(program))
  if plain_program(program) ~= match(program, '[^!]*$') then
    -- Kept from some: whoever is woken first may be one of those, so all are.
    count = count * math.max(1, call('ZCARD', workers_key()))
  end
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

-- Takes away the bells of a queue for these programs (of `names`, from first to last): a claim found their
-- lanes empty, so the bells would wake in vain.
local function silence_bells(queue, names, first, last)
  local bells = { bell_key('', 'when') } -- the reply says whether there are decisions
  for program = first, last do
    bells[#bells + 1] = bell_key(queue, names[program])
  end
  call('DEL', unpack(bells))
end
