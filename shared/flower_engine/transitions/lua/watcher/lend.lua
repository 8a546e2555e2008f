#!lua flags=allow-oom
-- lend: says how this partition's shares of limits stand, and lowers or raises some.
-- needs: base, keys, let_in, limits
--
-- Guarantees: a share is raised only for the caller who lowered here last, so that whoever stood still
--   meanwhile raises nothing by what he saw before. Safe to send twice.
-- ARGV: generation, what to do ("look", "lower" or "raise"), the caller's token, for each limit: its name,
--   which of its numbers ("1": units or flows, "2": starts), the share that it is to have at most or at least
-- Reply: {"ok", for each: the share that it had, the one that it has, how much is used, whether something
--   waits for it (1 or 0; both 0 after raising), what it is a share of ("": it is no share)}, {"moved"} or
--   {"lost"}. Cost: linear in the limits, in what is let in, and in the boards of limits that were raised.
local generation, step, token = unpack(ARGV, 1, 3)
local head = call('HMGET', meta_key(), 'generation', 'lend_token')
if head[1] ~= generation then
  return { 'lost' }
elseif step == 'raise' and head[2] ~= token then
  return { 'moved' }
end

local function is_ready(queue)
  return call('EXISTS', ready_key(queue, '')) == 1
end

-- Whether something waits for the limit, or might.
local function waits_for(name)
  local workflow, queue = match(name, '^f:(.*)$'), match(name, '^q:(.*)$')
  if workflow then
    return call('EXISTS', new_flows_key(workflow)) == 1
  elseif queue then
    return is_ready(queue)
  elseif name == 'g' then
    for _, one in ipairs(call('SMEMBERS', queues_key())) do
      if is_ready(one) then
        return true
      end
    end
    return false
  end
  return call('HEXISTS', boards_key(), '|' .. name) == 1
end

local function used_of(name, which)
  local workflow = match(name, '^f:(.*)$')
  if workflow then
    return call('ZCARD', flows_key(workflow))
  elseif which == '2' then
    local limit = limit_of(name)
    if limit and limit.rate then
      read_starts(limit)
      return limit.counted
    end
    return 0
  end
  return tonumber(call('HGET', running_key(), name) or 0)
end

local reply, texts, changed = { 'ok' }, {}, {}
for index = 4, #ARGV, 3 do
  local name, which, share = ARGV[index], ARGV[index + 1], tonumber(ARGV[index + 2])
  local text = texts[name] or call('HGET', limits_key(), name) or ''
  local of_what = call('HGET', limits_key(), 't:' .. name) or ''
  local first, second, rest = match(text, '^(%S+) ?(%S*)(.*)$')
  local had = tonumber(which == '1' and first or second)
  local is_share = had and of_what ~= ''
  local has = had
  if is_share and step ~= 'look' then
    has = step == 'lower' and math.min(had, share) or math.max(had, share)
  end
  if has ~= had then
    local said = digits(has)
    texts[name] = which == '1' and (said .. ' ' .. second .. rest) or (first .. ' ' .. said .. rest)
    changed[#changed + 1] = name
  end
  reply[#reply + 1] = had and digits(had) or ''
  reply[#reply + 1] = has and digits(has) or ''
  reply[#reply + 1] = step == 'raise' and '0' or digits(used_of(name, which))
  reply[#reply + 1] = step ~= 'raise' and waits_for(name) and '1' or '0'
  reply[#reply + 1] = is_share and of_what or ''
end
if step == 'lower' then
  call('HSET', meta_key(), 'lend_token', token)
end
for name, text in pairs(texts) do
  call('HSET', limits_key(), name, text)
end
if step == 'raise' and #changed > 0 then
  let_in(changed)
end
return reply
