#!lua flags=allow-oom
-- finish_and_claim: hands in a worker's outcomes and gives it new tasks.
-- include _common _flows _lanes _release _choose
--
-- Guarantees: an outcome counts once, and only while its lease is the task's current one; dependents
-- become ready, and the flow ends, together with it; a claimed task is leased, started and logged
-- together. Safe to send twice: the same call number gives the first reply again, an older one "stale".
-- Works when memory is short: finishing is what frees it.
-- ARGV: generation, worker, call number, wanted (free slots),
--   number of queues, queues..., number of programs, programs...,
--   then for each outcome: lease, "<flow>:<task>", queue, kind (finished | suspended | returned), JSON
-- Reply: {"ok", {word for each outcome}, {lease, member, queue, attempt, message, ...}, "more" | "none"},
--   or {"lost"}, or {"stale"}. Words: ok | duplicate | stale | absent. "more": there are dependents to
--   release still, so the next call need not wait for a bell.
-- Cost: linear in outcomes, their dependents (at most RELEASE_STEP of wide ones) and claims.
local head = call('HMGET', KEYS[1], 'generation', 'turn', 'fanout')
if head[1] ~= ARGV[1] then
  return { 'lost' }
end
local worker, number = ARGV[2], tonumber(ARGV[3])

-- The call record, call:<worker>, is "<number> <word,...> <queue/first lease/last lease/leases,...> <more>".
local function words_of(text)
  local words = {}
  for word in string.gmatch(text, '[^,]+') do
    words[#words + 1] = word
  end
  return words
end

-- The claims that the last call granted, but for those that lapsed since. A call's leases of a queue are
-- neighbours in its work stream, so first and last tell them all.
local function still_held(granted)
  local claims = {}
  for queue, first, last, count in string.gmatch(granted, '([^,/]+)/([^,/]+)/([^,/]+)/(%d+)') do
    local work = prefix .. 'work:' .. queue
    for _, pending in ipairs(call('XPENDING', work, 'workers', first, last, count, worker)) do
      local lease = pending[1]
      local member = call('XRANGE', work, lease, lease)[1][2][2]
      local id, task = split_member(member)
      local got = call('HMGET', prefix .. 'flow:' .. id, 's' .. task, 'm' .. task)
      local n = #claims
      claims[n + 1], claims[n + 2], claims[n + 3] = lease, member, queue
      local _, attempt = match(got[1], STATE)
      claims[n + 4], claims[n + 5] = attempt, got[2]
    end
  end
  return claims
end

local call_key = prefix .. 'call:' .. worker
local last = call('GET', call_key)
if last then
  local last_number, words, granted, more = match(last, '^(%d+) (%S*) (%S*) (%S+)$')
  last_number = tonumber(last_number)
  if number < last_number then
    return { 'stale' }
  elseif number == last_number then
    return { 'ok', words_of(words), still_held(granted), more }
  end
end

local now = redis_ms()
local wanted = tonumber(ARGV[4])
local first_queue, last_queue = 6, 5 + tonumber(ARGV[5])
local first_program = last_queue + 2
local last_program = last_queue + 1 + tonumber(ARGV[last_queue + 1])
local serves = {}
for index = first_program, last_program do
  serves[ARGV[index]] = true
end

-- Outcomes: check each against its task's lease, then count it.
local words, gone = {}, {}
local at_flow = '","at":' .. now .. ',"flow":"'

local function refuse(id, task, lease, kind)
  append('{"type":"outcome.refused' .. at_flow .. id .. '","task":' .. task .. ',"lease":"' .. lease
    .. '","worker":"' .. worker .. '","outcome":"' .. kind .. '"}')
  return 'stale'
end

local function finish(lease, member, queue, kind, payload)
  local id, task = split_member(member)
  local flow, state, dependents = load_task(id, task, 'd')
  if not flow then
    local ended = call('GET', prefix .. 'ended:' .. id)
    if not ended then
      return 'absent'
    elseif match(ended, ' (.*)$') == lease then
      return 'duplicate'
    end
    return refuse(id, task, lease, kind)
  end
  local status, attempt, lost, current = match(state, STATE)
  if current ~= lease then
    return refuse(id, task, lease, kind)
  elseif status ~= '1' then
    return 'duplicate'
  end
  local entries = gone[queue]
  if not entries then
    entries = {}
    gone[queue] = entries
  end
  entries[#entries + 1] = lease
  if kind == 'finished' then
    set_state(flow, task, '3', attempt, lost, lease)
    flow.left = flow.left - 1
    flow.done = flow.done + 1
    flow.last = lease
    append('{"type":"task.finished' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
      .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. '","result":' .. payload
      .. (flow.left == 0 and ',"ends":true}' or '}'))
    if dependents then
      release(flow, task, dependents)
    end
  elseif kind == 'suspended' then
    set_state(flow, task, '2', attempt, lost, lease)
    append('{"type":"task.suspended' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
      .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. '","error":' .. payload .. '}')
  else
    set_state(flow, task, '0', attempt, lost, '-')
    append('{"type":"task.returned' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
      .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. '"}')
    push(call('HGET', flow.key, 'l' .. task), flow, task)
  end
  return 'ok'
end

for index = last_program + 1, #ARGV, 5 do
  words[#words + 1] = finish(ARGV[index], ARGV[index + 1], ARGV[index + 2], ARGV[index + 3], ARGV[index + 4])
end
for queue, leases in pairs(gone) do
  local work = prefix .. 'work:' .. queue
  for first = 1, #leases, CHUNK do
    local step = math.min(first + CHUNK - 1, #leases)
    call('XACK', work, 'workers', unpack(leases, first, step))
    call('XDEL', work, unpack(leases, first, step))
  end
end
local waiting = release_step(tonumber(head[3] or 0))
save_lanes()

-- Claims: lease, start and log what the choice gives.
local claims, granted, taken = {}, {}, {}

local function start(queue, member)
  local id, task = split_member(member)
  local flow, state, message = load_task(id, task, 'm')
  if not flow then
    return -- a lane never holds a task of a flow that is gone; if one did, it must not stop the claim
  end
  local _, attempt, lost = match(state, STATE)
  attempt = digits(attempt + 1)
  local lease = call('XADD', prefix .. 'work:' .. queue, '*', 't', member)
  set_state(flow, task, '1', attempt, lost, lease)
  append('{"type":"task.started' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
    .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. '","worker":"' .. worker .. '"}')
  local n = #claims
  claims[n + 1], claims[n + 2], claims[n + 3], claims[n + 4], claims[n + 5] = lease, member, queue, attempt, message
end

local turn = tonumber(head[2] or 0)
local first_turn = turn
for index = first_queue, last_queue do
  if wanted <= 0 then
    break
  end
  local queue, chosen, got = ARGV[index], {}, nil
  got, turn = choose(queue, wanted, serves, turn, chosen, taken)
  wanted = wanted - got
  local before = #claims
  for at = 1, #chosen, 2 do
    start(queue, chosen[at])
  end
  if #claims > before then
    granted[#granted + 1] = queue .. '/' .. claims[before + 1] .. '/' .. claims[#claims - 4] .. '/' .. got
    call('XREADGROUP', 'GROUP', 'workers', worker, 'COUNT', got, 'STREAMS', prefix .. 'work:' .. queue, '>')
  end
  if wanted > 0 and first_program <= last_program then
    local bells = {} -- what this worker serves is empty: bells for it would wake in vain
    for program = first_program, last_program do
      bells[#bells + 1] = prefix .. 'bell:' .. queue .. ':' .. ARGV[program]
    end
    call('DEL', unpack(bells))
  end
end
ring(taken)
save_flows(now)
save_notes()
if turn > first_turn then
  call('HSET', KEYS[1], 'turn', turn)
end
local more = (waiting > 0 or #notes > 0) and 'more' or 'none'
call('SET', call_key, ARGV[3] .. ' ' .. concat(words, ',') .. ' ' .. concat(granted, ',') .. ' ' .. more,
  'EX', 86400)
return { 'ok', words, claims, more }
