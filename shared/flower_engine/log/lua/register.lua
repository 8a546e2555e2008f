#!lua
-- register: starts flows. Refused as a whole when memory is short (no allow-oom).
-- include _common _lanes
--
-- Guarantees: a flow is registered once, however often the call is sent; its event, state and ready roots
-- appear together.
-- ARGV: generation,
--   number of plans, then for each: tasks, event tail, wide ("1": roots are released in steps),
--     number of roots, (task, lane) for each, number of fields, the fields of the flow hash (name, value...)
--   then for each flow: flow id, number of its plan (from 1)
-- Reply: {"ok", word for each flow} (ok | duplicate), or {"lost"}.
-- Cost: linear in fields and roots; callers keep a call to a few thousand tasks.
local head = call('HMGET', KEYS[1], 'generation', 'order')
if head[1] ~= ARGV[1] then
  return { 'lost' }
end
local plans, at = {}, 3
for index = 1, tonumber(ARGV[2]) do
  local plan = { tasks = tonumber(ARGV[at]), counters = '1 ' .. ARGV[at] .. ' 0 ', tail = ARGV[at + 1], wide = ARGV[at + 2] == '1' }
  local roots = tonumber(ARGV[at + 3])
  plan.first_root, plan.last_root = at + 4, at + 3 + 2 * roots
  local fields = tonumber(ARGV[plan.last_root + 1])
  plan.first, plan.last = plan.last_root + 2, plan.last_root + 1 + fields
  at = plan.last + 1
  plans[index] = plan
end

local order = tonumber(head[2] or 0)
local words, notes = { 'ok' }, {}
for index = at, #ARGV, 2 do
  local id, plan = ARGV[index], plans[tonumber(ARGV[index + 1])]
  local key = prefix .. 'flow:' .. id
  if call('EXISTS', key, prefix .. 'ended:' .. id) > 0 then
    words[#words + 1] = 'duplicate'
  else
    call('XADD', log_key, '*', 'e', '{"type":"flow.registered","at":' .. now .. ',"flow":"' .. id
      .. '","v":1,"order":' .. digits(order) .. plan.tail)
    local first = plan.first
    call('HSET', key, 'c', plan.counters .. digits(order), unpack(ARGV, first, math.min(plan.last, first + CHUNK - 1)))
    for step = first + CHUNK, plan.last, CHUNK do
      call('HSET', key, unpack(ARGV, step, math.min(plan.last, step + CHUNK - 1)))
    end
    local flow = { id = id, done = 0, order = order }
    for root = plan.first_root, plan.last_root, 2 do
      push(ARGV[root + 1], flow, ARGV[root])
    end
    if plan.wide then
      notes[#notes + 1] = id .. ':0:1'
    end
    order = order + plan.tasks
    words[#words + 1] = 'ok'
  end
end
if order > tonumber(head[2] or 0) then
  call('HSET', KEYS[1], 'order', digits(order))
end
if #notes > 0 then
  call_chunked('RPUSH', prefix .. 'fanout', notes, CHUNK)
  call('HINCRBY', KEYS[1], 'fanout', #notes)
end
save_lanes()
ring()
return words
