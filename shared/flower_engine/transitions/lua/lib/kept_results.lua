-- Results that flows keep for the tasks that read them.
--
-- A result is kept from when its task is final with a value until no task that is not final reads it; see
-- model/kept_results.py. Flows without data never come here.
-- needs: base, flow_fields, flows, keys
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

-- What is known of a task's result, from the field that says how many read it: {readers, bytes (0: not kept),
-- payload (what this call keeps), was (bytes that Redis has), is_changed}.
local function use_of(field)
  local readers = tonumber(field or 0)
  if readers then
    return { readers = readers, bytes = 0 }
  end
  local count, size = match(field, '^(%d+) (%d+)$')
  local bytes = tonumber(size)
  return { readers = tonumber(count), bytes = bytes, was = bytes }
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

-- What is known of the results of these tasks, by task, as use_of has it. What is not known yet is read at
-- once, together with the fields in `names` (if given), whose values come back, too.
local function uses_of(flow, tasks, names)
  local uses = flow.uses
  if not uses then
    uses = {}
    flow.uses, flow.changed_uses = uses, {}
  end
  names = names or {}
  local others, unknown = #names, {}
  for index = 1, #tasks do
    local task = tasks[index]
    if not uses[task] then
      uses[task] = true -- asked once
      unknown[#unknown + 1] = task
      names[others + #unknown] = readers_field(task)
    end
  end
  local values = values_of(flow, names)
  for index = 1, #unknown do
    uses[unknown[index]] = use_of(values[others + index])
  end
  return uses, values
end

-- The tasks of a text "2,3?".
local function tasks_read(reads)
  local tasks = {}
  for task in string.gmatch(reads, '%d+') do
    tasks[#tasks + 1] = task
  end
  return tasks
end

local function change_use(flow, task, use)
  if not use.is_changed then
    use.is_changed = true
    local changed = flow.changed_uses
    changed[#changed + 1] = task
  end
end

-- The result is kept (payload), or not any more (nil).
local function set_kept(flow, task, use, payload)
  local bytes = payload and #payload or 0
  flow.kept = flow.kept + bytes - use.bytes
  use.bytes, use.payload = bytes, payload
  change_use(flow, task, use)
end

-- So many tasks more (1) or less (-1) are to read the result of a task: what nobody reads is not kept.
local function count_reader(flow, task, by)
  local use = flow.uses[task]
  use.readers = math.max(0, use.readers + by)
  if use.readers == 0 and use.bytes > 0 then
    set_kept(flow, task, use, nil)
  else
    change_use(flow, task, use)
  end
end

-- The same for the results of all these tasks, "2,3?".
local function count_readers(flow, reads, by)
  local tasks = tasks_read(reads)
  uses_of(flow, tasks)
  for index = 1, #tasks do
    count_reader(flow, tasks[index], by)
  end
end

-- A task of a flow with data is final: its result (`payload`, nil: it has none) is kept if one of its
-- dependents reads it, and it reads no more what it read (nil: nothing). Returns the values of the fields in
-- `names`, which are read with what this needs.
local function settle_data(flow, task, payload, has_dependents, reads, names)
  local tasks = reads and tasks_read(reads) or {}
  local count = #tasks
  if payload and has_dependents then
    tasks[count + 1] = task
  end
  local uses, values = uses_of(flow, tasks, names)
  local own = uses[task]
  if payload and own and own.readers > 0 then
    set_kept(flow, task, own, payload)
  end
  for index = 1, count do
    count_reader(flow, tasks[index], -1)
  end
  return values
end

-- Puts what changed into each flow's changes, which save_flows writes. What is not kept any more is emptied
-- with that, too: removing it would be a command of its own.
local function save_kept()
  for index = 1, #flow_ids do
    local flow = flows[flow_ids[index]]
    if flow and flow.kept then
      local changed = flow.changed_uses
      if flow.left == 0 then
        flow.kept = 0
      elseif changed then
        for at = 1, #changed do
          local task = changed[at]
          local use = flow.uses[task]
          if use.bytes > 0 then
            set(flow, readers_field(task), digits(use.readers) .. ' ' .. digits(use.bytes))
            if use.payload then
              set(flow, result_field(task), use.payload)
            end
          else
            set(flow, readers_field(task), digits(use.readers))
            if use.was then
              set(flow, result_field(task), '')
            end
          end
        end
      end
      if flow.kept ~= flow.counted then
        flow.flags = string.gsub(flow.flags, HAS_DATA, data_flag(digits(flow.kept)))
        kept_by = kept_by + flow.kept - flow.counted
        flow.dirty = true
      end
    end
  end
  save_kept_count()
end
