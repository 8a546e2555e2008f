-- What the items of a map have in common stands once for them, and not with each: their lane, who is behind
-- them, by how many each is read. An item has a field of its own where it differs from the others, as has
-- every task that is no item of many: so fields of tasks are read by the functions here.
--
-- A field of the flow has a line for each map whose items are so: "<first> <last> <readers> <forgotten>",
-- with tabs between that, the links and the lane. Up to the number `forgotten` the map itself reads them no
-- more, so they are read by one less (0: it reads all). In links a number with a sign stands for the item so
-- far ahead or behind.
-- needs: base, flow_fields
-- layer: 1
local LETTER_OF_LANE = 108 -- "l"
local LETTER_OF_LINKS = 100 -- "d"
local COMMON_LINE = '\n(%d+) (%d+) (%d+) (%d+)\t([^\t]*)\t([^\n]*)'

-- The text of links taken apart where numbers with a sign stand: text, number, text, ...; of most it is one.
local function pieces_of(links)
  local pieces, at = {}, 1
  for before, sign, number, after in string.gmatch(links, '()([+-])(%d+)()') do
    local n = #pieces
    pieces[n + 1], pieces[n + 2] = sub(links, at, before - 1), tonumber(sign .. number)
    at = after
  end
  pieces[#pieces + 1] = sub(links, at)
  return pieces
end

-- What is known of items in common, map by map; false: the flow has none such. Whoever changes it sets
-- is_changed, and flow.dirty: save_flows writes it.
local function common_of(flow)
  local found = flow.common
  if found == nil then
    local text = call('HGET', flow.key, COMMON) or ''
    found = false
    for first, last, readers, forgotten, links, lane in string.gmatch(text, COMMON_LINE) do
      found = found or {}
      found[#found + 1] = { first = first + 0, last = last + 0, readers = readers + 0,
        forgotten = forgotten + 0, links = links, pieces = pieces_of(links), lane = lane }
    end
    flow.common = found
  end
  return found
end

-- The text of that field.
local function common_text(common)
  local lines = {}
  for index, one in ipairs(common) do
    lines[index] = '\n' .. digits(one.first) .. ' ' .. digits(one.last) .. ' ' .. digits(one.readers) .. ' '
      .. digits(one.forgotten) .. '\t' .. one.links .. '\t' .. one.lane
  end
  return concat(lines)
end

-- What a task has in common with others, or nil: it is no such item.
local function common_with(flow, number)
  local common = flow.common
  if common == nil then
    common = common_of(flow)
  end
  if not common then
    return nil
  end
  local last = common.found -- most often the next one is of the same map
  if last and last.first <= number and number <= last.last then
    return last
  end
  local low, high = 1, #common -- whose items come later stands behind, as maps are expanded one by one
  while low <= high do
    local middle = math.floor((low + high) / 2)
    local one = common[middle]
    if number < one.first then
      high = middle - 1
    elseif number > one.last then
      low = middle + 1
    else
      common.found = one
      return one
    end
  end
end

-- The links of such an item.
local function common_links(one, number)
  local pieces = one.pieces
  local text = pieces[1]
  for index = 2, #pieces, 2 do
    text = text .. digits(number + pieces[index]) .. pieces[index + 1]
  end
  return text
end

-- What a field of a task that has none of its own says for all items of its map; false: nothing.
local function common_field(flow, name)
  local letter = string.byte(name)
  if letter ~= LETTER_OF_LANE and letter ~= LETTER_OF_LINKS then
    return false
  end
  local number = tonumber(sub(name, 2))
  local one = number and common_with(flow, number)
  if not one then
    return false
  end
  return letter == LETTER_OF_LANE and one.lane or common_links(one, number)
end

-- A field of a task as Redis has it; false: it has none. (One that is known as false it has not of its own.)
local function field_of(flow, name)
  return flow[name] ~= false and call('HGET', flow.key, name)
    or flow.common ~= false and common_field(flow, name)
end

-- One field of tasks that follow each other, from the first on, as it was read (`name`: that of the first),
-- with what items have in common.
local function fill_column(flow, name, first, got)
  local letter = string.byte(name)
  local is_lane, last = letter == LETTER_OF_LANE, first + #got - 1
  if not is_lane and letter ~= LETTER_OF_LINKS then
    return got
  end
  for _, one in ipairs(common_of(flow) or {}) do
    for number = math.max(first, one.first), math.min(last, one.last) do
      local index = number - first + 1
      got[index] = got[index] or is_lane and one.lane or common_links(one, number)
    end
  end
  return got
end

-- The values of fields of a flow, however many. `is_own`: without what items have in common, as whoever asks
-- looks at that for all of them. With `first`: one field of tasks that follow each other from that one on,
-- whose names have the indexes `from` to `to`.
local function values_of(flow, names, is_own, first, from, to)
  if first then
    return fill_column(flow, names[from], first, call('HMGET', flow.key, unpack(names, from, to)))
  end
  local count, values = #names, names
  if count == 0 then
    return names
  elseif count <= CHUNK then
    values = call('HMGET', flow.key, unpack(names))
  else
    values = {}
    for step = 1, count, CHUNK do
      local got = call('HMGET', flow.key, unpack(names, step, math.min(count, step + CHUNK - 1)))
      for index = 1, #got do
        values[step + index - 1] = got[index]
      end
    end
  end
  if flow.common ~= false and not is_own and common_of(flow) then
    for index = 1, count do
      values[index] = values[index] or common_field(flow, names[index])
    end
  end
  return values
end

-- By how many an item is read that has no count of its own.
local function common_readers(one, n) return n <= one.forgotten and one.readers - 1 or one.readers end
