-- Maps that are expanded anew, and whose items take over what the same ones came to before: until it has its
-- items, such a map keeps what is known of those that it had. Which these are is worked out from the flow's
-- history, and sent with the rerun.
-- needs: base, flow_fields, flows, operation, statuses

-- Earlier items that an operation was sent, (map, stamp, text) from values[first] on, by map.
local function earlier_given(values, first, count)
  local given = {}
  for index = first, first + 3 * count - 1, 3 do
    given[values[index]] = { stamp = values[index + 1], text = values[index + 2] }
  end
  return given
end

-- The maps of a whole flow that run again, and are to be expanded: they have no items, or are expanded anew.
local function maps_to_expand(flow, again, is_anew)
  local maps = {}
  for _, task in ipairs(flow.of_world) do
    local known = again[task] and flow.tasks[task]
    if known and match(known.lane, ':%%40map') and (is_anew[task] or not known.items) then
      maps[#maps + 1] = digits(task)
    end
  end
  return maps
end

-- What changes with everything that earlier items of a map follow from: its attempt, and its items that have
-- finished, each with its own.
local function stamp_of(flow, known)
  local stamp = { known.attempt }
  for item = known.items and known.items.first or 1, known.items and known.items.last or 0 do
    local one = flow.tasks[item]
    if one.status == FINISH then
      stamp[#stamp + 1] = digits(item) .. ':' .. one.attempt
    end
  end
  return concat(stamp, ' ')
end

-- The reply, where of one of these maps nobody has sent the items that it had, or others than it has; or nil.
local function lacks_earlier(flow, maps, given)
  local missing = { 'earlier' }
  for _, map in ipairs(maps) do
    if not given[map] or given[map].stamp ~= stamp_of(flow, flow.tasks[tonumber(map)]) then
      missing[#missing + 1] = map
    end
  end
  if #missing == 1 then
    return nil
  end
  leave_as_it_was(flow)
  return missing
end

-- What these maps get is matched with the items that they had (`given` nil: it is not).
local function match_later(flow, maps, given)
  local forgotten = {}
  for _, map in ipairs(maps) do
    if given then
      set(flow, earlier_field(map), given[map].text)
    else
      forgotten[#forgotten + 1] = earlier_field(map)
    end
  end
  if #forgotten > 0 then
    call_chunked('HDEL', flow.key, forgotten, CHUNK)
  end
end
