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

-- The field of a task that says how many read its result, "3 17", "3" or nothing, taken apart.
local function use_of(field)
  local readers, bytes = match(field or '0', '^(%d+) ?(%d*)$')
  return { readers = tonumber(readers), bytes = tonumber(bytes) or 0, was = tonumber(bytes) }
end

-- What is known of the results of these tasks, by task: {readers, bytes (0: not kept), payload (what this
-- call keeps), was (bytes that Redis has), is_changed}; read at once.
local function uses_of(flow, tasks)
  local uses = flow.uses
  if not uses then
    uses = {}
    flow.uses, flow.changed_uses = uses, {}
  end
  local unknown = {}
  for index = 1, #tasks do
    local task = tasks[index]
    if not uses[task] then
      uses[task] = {} -- asked once
      unknown[#unknown + 1] = task
    end
  end
  for first = 1, #unknown, CHUNK do
    local last = math.min(#unknown, first + CHUNK - 1)
    local names = {}
    for index = first, last do
      names[#names + 1] = readers_field(unknown[index])
    end
    local got = call('HMGET', flow.key, unpack(names))
    for index = 1, #got do
      uses[unknown[first + index - 1]] = use_of(got[index])
    end
  end
  return uses
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

-- So many tasks more (1) or less (-1) are to read each of these results: what nobody reads is not kept.
local function count_readers(flow, reads, by)
  local tasks = tasks_read(reads)
  local uses = uses_of(flow, tasks)
  for index = 1, #tasks do
    local task = tasks[index]
    local use = uses[task]
    use.readers = math.max(0, use.readers + by)
    if use.readers == 0 and use.bytes > 0 then
      set_kept(flow, task, use, nil)
    end
    change_use(flow, task, use)
  end
end

-- A task of a flow with data is final: its result (`payload`, nil: it has none) is kept if somebody reads it,
-- and it reads no more.
local function settle_data(flow, task, payload)
  if flow.left == 0 then
    return -- it ends
  end
  local uses, got = uses_of(flow, {}), call('HMGET', flow.key, reads_field(task), readers_field(task))
  local reads, use = got[1], uses[task]
  if not use then
    use = use_of(got[2])
    uses[task] = use
  end
  if payload and use.readers > 0 then
    set_kept(flow, task, use, payload)
  end
  if reads then
    count_readers(flow, reads, -1)
  end
end

-- Puts what changed into each flow's changes, which save_flows writes; what is gone goes by one command a
-- flow.
local function save_kept()
  for index = 1, #flow_ids do
    local flow = flows[flow_ids[index]]
    if flow and flow.kept then
      if flow.left == 0 then
        flow.kept = 0
      elseif flow.changed_uses and #flow.changed_uses > 0 then
        local gone = {}
        for _, task in ipairs(flow.changed_uses) do
          local use = flow.uses[task]
          if use.bytes > 0 then
            set(flow, readers_field(task), digits(use.readers) .. ' ' .. digits(use.bytes))
            if use.payload then
              set(flow, result_field(task), use.payload)
            end
          else
            if use.was then
              gone[#gone + 1] = result_field(task)
            end
            if use.readers > 0 then
              set(flow, readers_field(task), digits(use.readers))
            else
              gone[#gone + 1] = readers_field(task)
            end
          end
        end
        if #gone > 0 then
          call_chunked('HDEL', flow.key, gone, CHUNK)
        end
        flow.dirty = true
      end
      if flow.kept ~= flow.counted then
        flow.flags = string.gsub(flow.flags, HAS_DATA, data_flag(digits(flow.kept)))
        kept_by = kept_by + flow.kept - flow.counted
      end
    end
  end
  save_kept_count()
end
