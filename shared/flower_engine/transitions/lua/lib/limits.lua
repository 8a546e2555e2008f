-- Limits: how many tasks may run, or start in a time. The hash "limits" has by name
--   g | q:<queue> | w:<workflow> | p:<program>   "<units at once> <starts> <in ms> <paused>" ("-": none)
--   wk:<workflow> | pk:<program>                 units at once for each key: wk:<workflow>/<key>
--   f:<workflow>  "<flows at once> <queue | reject | cancel_oldest | skip> <count suspended ones: 0 | 1>"
--   v:<workflow>  its stride, STRIDE / weight       x:<program>  its strikes (see strikes.lua)
--   t:<any of these>  where there are several partitions, and the numbers of the limit are this one's shares,
--                 which may be 0: what they are shares of, "<units or flows> <starts>"; no script reads it
-- Of a map "m:<most>[t].<flow>.<map>" limits the items that run at once ("-": it does not); its name says it
-- all. With "t" no item starts while the map is held because too many were given up.
-- "running" counts by name what runs, in units; it moves together with leases. rate:<name> says when what
-- started: "<ms>:<starts>,...", in slices of a hundredth of the time, each counted as of its end, so that
-- never more than allowed start within any such time.
-- rarely used
-- needs: base, engine_time, flow_control, flow_fields, keys, lanes, statuses
-- layer: 2
local SLICES = 100
local limits_by_name, limit_names = {}, {}

-- What is set for a name, or false. A key's name is "wk:<workflow>/<key>", its limit that of "wk:<workflow>".
local function read_limit(name, text)
  local limit = false
  if text then
    local most, rate, period, paused = match(text, '^(%S+) ?(%S*) ?(%S*) ?(%S*)$')
    limit = { name = name, board = '|' .. name, max = tonumber(most), rate = tonumber(rate),
      period = tonumber(period), paused = paused == '1', started = 0 }
    if limit.max then
      limit.used = tonumber(call('HGET', running_key(), name) or 0)
    end
    limit_names[#limit_names + 1] = name
  end
  limits_by_name[name] = limit
  return limit
end

local function limit_of(name)
  local limit = limits_by_name[name]
  if limit ~= nil then
    return limit
  elseif sub(name, 1, 2) ~= 'm:' then
    return read_limit(name, call('HGET', limits_key(), match(name, '^[^/]*')))
  end
  local most, tolerant, id, map = match(name, '^m:([^t.]+)(t?)%.([^.]+)%.(%d+)$')
  local state = tolerant == 't' and call('HGET', flow_key(id), state_field(map))
  limit = read_limit(name, most .. ' - - ' .. (state and match(state, STATE) == SUSPEND and '1' or '0'))
  limit.counts_items = true
  return limit
end

-- The limits that hold for a lane.
local function limits_of(lane)
  if lane.limits then
    return lane.limits
  end
  local names = { 'g', 'q:' .. lane.queue, 'w:' .. lane.workflow, 'p:' .. plain_program(lane.program) }
  if lane.workflow_key and lane.workflow_key ~= '' then
    names[#names + 1] = 'wk:' .. lane.workflow .. '/' .. lane.workflow_key
  end
  if lane.program_key and lane.program_key ~= '' then
    names[#names + 1] = 'pk' .. sub(names[4], 2) .. '/' .. lane.program_key
  end
  local asked, missing = {}, {}
  for _, name in ipairs(names) do
    if limits_by_name[name] == nil then
      asked[#asked + 1] = match(name, '^[^/]*')
      missing[#missing + 1] = name
    end
  end
  if #asked > 0 then
    local got = call('HMGET', limits_key(), unpack(asked))
    for index, name in ipairs(missing) do
      read_limit(name, got[index])
    end
  end
  local found = {}
  for _, name in ipairs(names) do
    found[#found + 1] = limits_by_name[name] or nil
  end
  if lane.window then
    found[#found + 1] = limit_of('m:' .. lane.window)
  end
  lane.limits = found
  return found
end

-- Reads when a limit's tasks started, as far as it still counts.
local function read_starts(limit)
  if not limit.starts then
    limit.starts, limit.counted = {}, 0
    for at, count in string.gmatch(call('GET', rate_key(limit.name)) or '', '(%d+):(%d+)') do
      if tonumber(at) > now - limit.period then
        limit.starts[#limit.starts + 1] = { tonumber(at), tonumber(count) }
        limit.counted = limit.counted + count
      end
    end
  end
end

-- How many tasks of so many units a limit lets start; and of a rate that lets none, in how many ms it may.
local function room_in(limit, units)
  if limit.paused then
    return 0
  elseif limit.counts_items then
    units = 1
  end
  local room = math.huge
  if limit.max then
    local most_units = math.max(1, math.min(units, limit.max)) -- too heavy ones run alone
    room = math.max(0, floor((limit.max - limit.used) / most_units))
  end
  if limit.rate and room > 0 then
    read_starts(limit)
    local left = limit.rate - limit.counted - limit.started
    if left <= 0 then
      local oldest = limit.starts[1]
      return 0, oldest and oldest[1] + limit.period - now or limit.period + 1
    end
    room = math.min(room, left)
  end
  return room
end

-- Whether a limit, by its name, lets a task of so many units start.
local function has_room(name, units)
  local limit = limit_of(name)
  return not limit or room_in(limit, units) > 0
end

-- Whether a limit counts anything that ran before this call. Where none does, nobody needs to know by which
-- lane those went that run no more.
local counts_what_runs = nil
local function is_any_counted()
  if counts_what_runs == nil then
    counts_what_runs = call('EXISTS', running_key()) == 1
  end
  return counts_what_runs
end

-- Tasks of a lane began to run, or (count < 0) run no more.
local freed = {}
local function count_running(lane, count)
  for _, limit in ipairs(limits_of(lane)) do
    if limit.used then
      limit.used = limit.used + count * (limit.counts_items and 1 or lane.units)
      limit.is_changed = true
      if count < 0 then
        freed[limit.name] = limit
      end
    end
    if limit.rate and count > 0 then
      limit.started = limit.started + count
    end
  end
end

-- The map of which a task of this lane (its name) is an item is held no more: its items may start.
local function free_window(name)
  local window = lane_of(name).window
  if window then
    local limit = limit_of('m:' .. window)
    limit.paused = false
    freed[limit.name] = limit
  end
end

-- A task that was counted did not start after all.
local function count_not_started(lane)
  count_running(lane, -1)
  for _, limit in ipairs(limits_of(lane)) do
    limit.started = math.max(0, limit.started - 1)
  end
end

-- A running task of the lane (its name) lost its lease.
local function count_ended(name)
  if has_control then
    count_running(lane_of(name), -1)
  end
end

local function save_starts(limit)
  local slice = math.max(1, floor(limit.period / SLICES))
  local at = (floor(now / slice) + 1) * slice
  local last = limit.starts[#limit.starts]
  if last and last[1] == at then
    last[2] = last[2] + limit.started
  else
    limit.starts[#limit.starts + 1] = { at, limit.started }
  end
  local texts = {}
  for index, start in ipairs(limit.starts) do
    texts[index] = string.format('%d:%d', start[1], start[2])
  end
  call('SET', rate_key(limit.name), concat(texts, ','), 'PX', string.format('%d', 2 * limit.period))
end

local function save_limits()
  for _, name in ipairs(limit_names) do
    local limit = limits_by_name[name]
    if limit.is_changed then
      if limit.used > 0 then
        call('HSET', running_key(), name, digits(limit.used))
      else
        call('HDEL', running_key(), name)
      end
    end
    if limit.started > 0 then
      read_starts(limit)
      save_starts(limit)
    end
  end
end
