-- Results that flows keep for the tasks that read them.
--
-- A result is kept from when its task is final with a value until no task that is not final reads it; see
-- folding/kept_results.py. Flows without data never come here. What is known of a result, and what changes,
-- lies with the other fields of the flow: readers_field, "3" or "3 17", and result_field.
-- rarely used
-- needs: base, fanout_notes, flow_fields, flows, keys
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
  local readers = tonumber(field)
  if readers then
    return readers, 0
  end
  local at = string.find(field, ' ', 1, true)
  return tonumber(sub(field, 1, at - 1)), tonumber(sub(field, at + 1))
end

-- The values of fields of a flow, however many.
local function values_of(flow, names)
  if #names <= CHUNK then
    return #names > 0 and call('HMGET', flow.key, unpack(names)) or names
  end
  local values = {}
  for first = 1, #names, CHUNK do
    local got = call('HMGET', flow.key, unpack(names, first, math.min(#names, first + CHUNK - 1)))
    for index = 1, #got do
      values[first + index - 1] = got[index]
    end
  end
  return values
end

-- Reads what is not known yet of the results of these tasks, together with the fields in `names`, whose
-- values come back.
local function read_uses(flow, tasks, names)
  local others = #names
  for index = 1, #tasks do
    local name = readers_field(tasks[index])
    if not flow[name] then
      flow[name] = '0' -- asked once
      names[#names + 1] = name
    end
  end
  local values = values_of(flow, names)
  for index = others + 1, #names do
    flow[names[index]] = values[index] or '0'
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
    set(flow, readers_field(task), digits(readers))
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
  local readers, bytes = use_of(flow, task)
  if readers > 0 then
    set_kept(flow, task, readers, bytes, payload)
  end
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
    for index = 1, size do
      local use, name = counted[index], names[index]
      local bytes = use and bytes_kept[use]
      if use and bytes == nil then
        bytes = sub(use, 1, 2) == '1 ' and tonumber(sub(use, 3))
        bytes_kept[use] = bytes
      end
      if flow[name] or (use and not bytes and use ~= '1' and use ~= '0') then
        flow[name] = flow[name] or use
        count_reader(flow, digits(step + index - 1), -1)
      elseif bytes then
        flow.kept = flow.kept - bytes
        forgotten[n + 1], forgotten[n + 2] = name, result_field(numbers[step + index - 1])
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
