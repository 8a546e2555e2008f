#!lua flags=allow-oom
-- control: sets limits, pauses, weights and strikes as the table of flow control says.
-- needs: base, common_fields, engine_time, events, flow_control, flow_fields, keys, lanes, let_in, limits
--
-- Guarantees: each change acts together with its event; what runs under a limit that is new is counted.
--   Nothing is taken from a caller that read the table before somebody else changed something here. Safe to
--   send twice.
-- ARGV: generation, the token that the caller found before it read the table ("": none), a new one, whether
--   to set that even if nothing changes (1 or 0), for each name: name, value ("": none), the change as JSON
--   ({"name":...,"settings":...,"by":...}, "": it is nothing that the table says, so no event tells of it);
--   all that the table says, and the names that it knows no more
-- Reply: {"ok", names that changed...}, {"moved"} or {"lost"}. Cost: linear in names, in what runs
--   where a limit is new, and in the boards of limits that changed; never in what waits.
local generation, token, new_token, must_sign = unpack(ARGV, 1, 4)
local head = call('HMGET', meta_key(), 'generation', 'control_token')
if head[1] ~= generation then
  return { 'lost' }
elseif head[2] == new_token then
  return { 'ok' } -- sent twice
elseif (head[2] or '') ~= token then
  return { 'moved' }
end

-- Counts what runs for limits that are new: all names with one of these beginnings.
local function recount(new)
  local known = {} -- flows, as far as their fields are read
  for _, queue in ipairs(call('SMEMBERS', queues_key())) do
    for _, entry in ipairs(call('XRANGE', work_key(queue), '-', '+')) do
      local id, task = split_member(entry[2][2])
      local flow = known[id] or { key = flow_key(id) }
      known[id] = flow
      local got = values_of(flow, { lane_field(task), state_field(task) })
      if got[1] and match(got[2] or NEVER, STATE) == '1' then
        local lane = lane_of(got[1])
        for _, limit in ipairs(limits_of(lane)) do
          if limit.used and new[match(limit.name, '^[^/]*')] then
            limit.used = limit.used + lane.units
            limit.is_changed = true
          end
        end
      end
    end
  end
end

local changed, new = {}, {}
for index = 5, #ARGV, 3 do
  local name, value = ARGV[index], ARGV[index + 1]
  local before = call('HGET', limits_key(), name)
  if (before or '') ~= value then
    if value == '' then
      call('HDEL', limits_key(), name)
    else
      call('HSET', limits_key(), name, value)
    end
    local had, has = match(before or '', '^%d+') ~= nil, match(value, '^%d+') ~= nil
    if match(name, '^[gqwp]') and had ~= has then
      new[name] = true
      for _, running in ipairs(call('HKEYS', running_key())) do
        if match(running, '^[^/]*') == name then
          call('HDEL', running_key(), running)
        end
      end
    end
    if ARGV[index + 2] ~= '' then
      append('{"type":"control.changed","at":' .. now .. ',' .. sub(ARGV[index + 2], 2))
    end
    changed[#changed + 1] = name
  end
end
if #changed > 0 or must_sign == '1' then
  call('HSET', meta_key(), 'control_token', new_token)
end
if #changed > 0 then
  begin_control()
end
if next(new) then
  recount(new)
end
let_in(changed)
return { 'ok', unpack(changed, 1, math.min(#changed, CHUNK)) }
