-- What the tasks of a whole flow read, and what of it must be there again when tasks are reopened.
-- needs: base, common_fields, flow_fields, flows, kept_results, whole_flow

local MANY_READS = 16 -- see data_fields.py

-- Whether a task reads the result of another; it `needs` it where it cannot do without.
local function is_reader(known, producer)
  if known.items and known.items.first <= producer and producer <= known.items.last then
    return true
  end
  return known.reads and match(known.reads, '%f[%d]' .. digits(producer) .. '%f[%D]') ~= nil
end

-- Results that tasks read which are to be reopened ({[task] = true}), and that are not kept any more: a list
-- of tasks. `given`: what was sent of them, by task {attempt, payload}; it counts only if that is the
-- attempt.
local function missing_results(flow, again, given)
  local wanted, asked = {}, {}
  for task = 1, flow.count do
    local known = again[task] and flow.tasks[task]
    if known and (is_final(known) or known.new_reads) then
      for _, producer in ipairs(tasks_read(known.new_reads or known.reads or '')) do
        local number = tonumber(producer)
        if not asked[number] and not again[number] and is_final(flow.tasks[number]) then
          asked[number] = true
          wanted[#wanted + 1] = producer
        end
      end
    end
  end
  local missing = {}
  read_uses(flow, wanted, {})
  for _, producer in ipairs(wanted) do
    local one = given[producer]
    if use_of(flow, producer) == 0
      and not (one and one.attempt == flow.tasks[tonumber(producer)].attempt) then
      missing[#missing + 1] = producer
    end
  end
  return missing
end

-- What stands behind a task's dependents is as is known of the task.
local function set_links(flow, task, known)
  set(flow, dependents_field(task), (known.dependents or '') .. '<' .. (known.new_reads or known.reads or '')
    .. (known.is_long and '!' or ''))
end

-- A task reads very many from here on: its message is long, and those it waits for must know.
local function note_long(flow, producers)
  for index = 1, #producers do
    local known = flow.tasks[tonumber(producers[index])]
    if not known.is_long then
      known.is_long = true
      set_links(flow, producers[index], known)
    end
  end
end

-- Counts who reads what once these tasks are reopened (before reopen does it): their own results go, what
-- they read is kept, as it was given if it was kept no more.
local function reopen_data(flow, again, given)
  local reopened = {}
  for task = 1, flow.count do
    if again[task] then
      reopened[#reopened + 1] = digits(task)
    end
  end
  read_uses(flow, reopened, {})
  for _, text in ipairs(reopened) do
    local known = flow.tasks[tonumber(text)]
    local was_final, reads = is_final(known), known.new_reads or known.reads or ''
    local readers, bytes = use_of(flow, text)
    if bytes > 0 then
      set_kept(flow, text, readers, bytes, nil)
    end
    if not flow[readers_field(text)] and common_with(flow, text + 0) then
      set(flow, readers_field(text), digits(readers)) -- it is no more as it was when it came
    end
    if was_final or known.new_reads then
      count_readers(flow, reads, 1)
    end
    if known.new_reads then
      set_links(flow, text, known)
      local producers = tasks_read(known.new_reads)
      if #producers > MANY_READS then
        note_long(flow, producers)
      end
      if not was_final and known.reads then
        local first, last = match(known.reads, ITEMS_READ)
        if first then -- its items vanish
          forget_items(flow, first .. ' ' .. digits(last - first + 1), 1, math.huge)
        end
        count_readers(flow, (string.gsub(known.reads, ',?' .. ITEMS_READ .. '%?', '')), -1)
      end
      known.reads = known.new_reads ~= '' and known.new_reads -- by these its edges are counted
    end
  end
  for producer, one in pairs(given) do
    read_uses(flow, { producer }, {})
    local readers, bytes = use_of(flow, producer)
    if readers > 0 and bytes == 0 and one.payload ~= '-' and not again[tonumber(producer)] then
      set_kept(flow, producer, readers, 0, one.payload)
    end
  end
end

-- The results that an operation was sent, (task, attempt, payload) from values[first] on, by task.
local function results_given(values, first, count)
  local given = {}
  for index = first, first + 3 * count - 1, 3 do
    given[values[index]] = { attempt = values[index + 1], payload = values[index + 2] }
  end
  return given
end
