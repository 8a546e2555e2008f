-- Results that flows keep for the tasks that read them.
--
-- A result is kept from when its task is final with a value until no task that is not final reads it; see
-- folding/kept_results.py. Flows without data never come here. What is known of a result, and what changes,
-- lies with the other fields of the flow: readers_field, "3" or "3 17", and result_field. Items that have
-- much in common (see common_fields.lua) have no count of their own as long as they are read by as many as
-- the others. Then, or where it has no bytes, the result is short, and its bytes are counted by itself; an
-- empty one of an item without a count says that nobody reads it any more.
-- rarely used
-- needs: base, common_fields, fanout_notes, flow_fields, flows, keys
local SHORT = 255 -- bytes of a result
local kept_by = 0 -- how many bytes this call keeps more than it found

-- Counts what a flow keeps that was put here as it is.
local function count_kept(bytes)
  kept_by = kept_by + bytes
end

local function save_kept_count()
  if kept_by ~= 0 then
    call('HINCRBY', meta_key(), 'kept', string.format('%d', kept_by))
  end
end

-- How many tasks that are not final read a task's result, and how many bytes of it are kept (0: it is not).
-- It must have been read.
local function use_of(flow, task)
  local field = flow[readers_field(task)]
  local readers = tonumber(field or nil)
  if not field or (readers and readers > 0 and flow.common ~= false) then
    local one, name = common_with(flow, task + 0), result_field(task)
    local result = one and flow[name]
    if one and result == nil then
      result = call('HGET', flow.key, name)
      flow[name] = result
    end
    if not one then
      return readers or 0, 0
    elseif not field and result == '' then
      return 0, 0
    end
    return readers or common_readers(one, task + 0), result and #result or 0
  elseif readers then
    return readers, 0
  end
  local at = string.find(field, ' ', 1, true)
  return tonumber(sub(field, 1, at - 1)), tonumber(sub(field, at + 1))
end

-- Of items whose counts of readers (names of fields, from that one on) say nothing of bytes the results are
-- known from here on.
local function read_short_results(flow, names, from)
  local wanted = {}
  for index = from, #names do
    local use, task = flow[names[index]], sub(names[index], 2)
    local name, is_without_bytes = result_field(task), not use or (use ~= '0' and tonumber(use))
    if is_without_bytes and flow[name] == nil and common_with(flow, task + 0) then
      wanted[#wanted + 1] = name
    end
  end
  local values = values_of(flow, wanted)
  for index = 1, #wanted do
    flow[wanted[index]] = values[index]
  end
end

-- Reads what is not known yet of the results of these tasks, together with the fields in `names`, whose
-- values come back.
local function read_uses(flow, tasks, names)
  local others = #names
  for index = 1, #tasks do
    local name = readers_field(tasks[index])
    if flow[name] == nil then
      flow[name] = false -- asked once
      names[#names + 1] = name
    end
  end
  local values = values_of(flow, names)
  for index = others + 1, #names do
    flow[names[index]] = values[index]
  end
  if flow.common then
    read_short_results(flow, names, others + 1)
  end
  return values
end

local FORGET_STEP = 500 -- results of a map's items that are forgotten at once
local ITEMS_READ = '(%d+)%-(%d+)' -- what a map reads of its items stands so in a text

-- The tasks of a text "2,3?", of a map "2,5-8?".
local function tasks_read(reads)
  if tonumber(reads) then
    return { reads } -- as most often
  end
  local tasks = {}
  for first, last in string.gmatch(reads, '(%d+)%-?(%d*)') do
    tasks[#tasks + 1] = first
    for task = first + 1, tonumber(last) or 0 do
      tasks[#tasks + 1] = digits(task)
    end
  end
  return tasks
end

-- So many tasks read the result; it is kept (payload), or not any more (nil: what is not kept is emptied with
-- whatever else is written, since removing it would be a command of its own).
local function set_kept(flow, task, readers, bytes, payload)
  if payload then
    flow.kept = flow.kept + #payload - bytes
    set(flow, readers_field(task), digits(readers) .. ' ' .. digits(#payload))
    set(flow, result_field(task), payload)
  else
    flow.kept = flow.kept - bytes
    if readers > 0 or flow[readers_field(task)] or not common_with(flow, task + 0) then
      set(flow, readers_field(task), digits(readers))
    end
    set(flow, result_field(task), '')
  end
end

-- So many tasks more (1) or less (-1) are to read the result of a task: what nobody reads is not kept.
local function count_reader(flow, task, by)
  local readers, bytes = use_of(flow, task)
  readers = math.max(0, readers + by)
  if bytes == 0 then
    set(flow, readers_field(task), digits(readers))
  elseif readers == 0 then
    set_kept(flow, task, 0, bytes, nil)
  else
    set(flow, readers_field(task), digits(readers) .. ' ' .. digits(bytes))
  end
end

-- The same for the results of all these tasks, "2,3?".
local function count_readers(flow, reads, by)
  local tasks = tasks_read(reads)
  read_uses(flow, tasks, {})
  for index = 1, #tasks do
    count_reader(flow, tasks[index], by)
  end
end

-- The task is final: its result is kept if one that is not final reads it.
local function keep_result(flow, task, payload)
  local one = not flow[readers_field(task)] and #payload <= SHORT and common_with(flow, task + 0)
  if one then
    if common_readers(one, task + 0) > 0 then
      flow.kept = flow.kept + #payload
      set(flow, result_field(task), payload)
    end
    return
  end
  local readers, bytes = use_of(flow, task)
  if readers > 0 then
    set_kept(flow, task, readers, bytes, payload)
  end
end

-- Of items from `first` on (their counts of readers, as Redis has them) those results that are forgotten all
-- together: by index, of items that have much in common, and are read by their map alone.
local function read_common_results(flow, names, counted, first)
  local wanted, places, found, n = {}, {}, {}, 0
  for index = 1, #names do
    local use = counted[index]
    if (not use or use == '1') and not flow[names[index]] then
      local one = common_with(flow, first + index - 1)
      if one and (use or (one.readers == 1 and first + index - 1 > one.forgotten)) then
        n = n + 1
        wanted[n], places[n] = result_field(digits_of[first + index - 1]), index
      end
    end
  end
  local values = n > 0 and call('HMGET', flow.key, unpack(wanted)) or wanted
  for index = 1, n do
    local result, at = values[index] or '', places[index]
    if flow[wanted[index]] == nil and (result ~= '' or not counted[at]) then
      found[at] = result
    end
  end
  return found
end

-- A map is final: nobody reads the results of its items any more ("<first> <how many>"). Forgets up to so
-- many from that index (from 1) on; returns the index to go on from, or nil. Much faster than count_readers.
local function forget_items(flow, items, from, most)
  local bytes_kept, numbers = {}, digits_of -- by what is said of a result; most often many are alike
  local number, count = match(items, '^(%d+) (%d+)')
  local first, last = number + from - 1, number + math.min(tonumber(count), from + most - 1) - 1
  for step = first, last, CHUNK do
    local names, forgotten, n, size = {}, {}, 0, 0
    for item = step, math.min(step + CHUNK - 1, last) do
      size = size + 1
      names[size] = readers_field(numbers[item] or digits(item))
    end
    local counted = call('HMGET', flow.key, unpack(names))
    local results = common_with(flow, step) and read_common_results(flow, names, counted, step) or nil
    for index = 1, size do
      local use, name, result = counted[index], names[index], results and results[index]
      local bytes = use and bytes_kept[use]
      if use and bytes == nil then
        bytes = sub(use, 1, 2) == '1 ' and tonumber(sub(use, 3))
        bytes_kept[use] = bytes
      end
      local task = numbers[step + index - 1]
      if result then -- its map alone read it
        if use then -- an empty one says that nobody does, where there is no count
          set(flow, result_field(task), '')
          n = n + 1
          forgotten[n] = name
        elseif result ~= '' then
          n = n + 1
          forgotten[n] = result_field(task)
        end
        flow.kept = flow.kept - #result
      elseif flow[name] or (use and (results or not bytes and use ~= '1' and use ~= '0')) then
        flow[name] = flow[name] or use
        count_reader(flow, task, -1)
      elseif results and common_with(flow, step + index - 1) then
        if flow[result_field(task)] then -- this call has kept it, and it has no count of its own
          count_reader(flow, task, -1)
        end
      elseif bytes then
        flow.kept = flow.kept - bytes
        forgotten[n + 1], forgotten[n + 2] = name, result_field(task)
        n = n + 2
      elseif use then
        n = n + 1
        forgotten[n] = name
      end
    end
    if n > 0 then
      call_chunked('HDEL', flow.key, forgotten, CHUNK)
    end
  end
  local one = common_with(flow, first)
  if one then
    one.forgotten = math.max(one.forgotten, last)
    flow.common.is_changed, flow.dirty = true, true
  end
  return last < number + count - 1 and last - number + 2 or nil
end

-- A task of a flow with data is final: its result (`payload`, nil: it has none) is kept if one of its
-- dependents reads it, and it reads no more what it read (nil: nothing). Returns the values of the fields in
-- `names`, which are read with what this needs.
local function settle_data(flow, task, payload, has_dependents, reads, names)
  local first, last = match(reads or '', ITEMS_READ)
  if first then
    if last - first < FORGET_STEP then
      forget_items(flow, first .. ' ' .. digits(last - first + 1), 1, FORGET_STEP)
    else
      note_fanout(flow.id, task, 'k')
      change_active(flow, 1) -- the note
    end
    reads = string.gsub(reads, ',?' .. ITEMS_READ .. '%?', '')
  end
  local tasks = reads and tasks_read(reads) or {}
  local count = #tasks
  tasks[count + 1] = has_dependents and task or nil
  local values = read_uses(flow, tasks, names)
  if payload and has_dependents then
    keep_result(flow, task, payload)
  end
  for index = 1, count do
    count_reader(flow, tasks[index], -1)
  end
  return values
end

-- Counts what each flow of this call keeps more or less than it did; save_flows writes the flow.
local function save_kept()
  for index = 1, #flow_ids do
    local flow = flows[flow_ids[index]]
    if flow and flow.kept then
      if flow.left == 0 then
        flow.kept = 0
      end
      if flow.kept ~= flow.counted then
        kept_by = kept_by + flow.kept - flow.counted
        flow.dirty = true
      end
    end
  end
  save_kept_count()
end
