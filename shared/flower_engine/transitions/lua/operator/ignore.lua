#!lua
-- ignore: an operator passes over waiting, retrying or suspended tasks; their dependents go on.
-- needs: base, common_fields, events, flow_fields, flows, items, kept_results, next_rounds, operation
-- needs: places, ready, release, statuses, timers, tree_notes, whole_flow, whole_reading, whole_rules
--
-- Guarantees: the tasks leave where they wait, become Ignore and free their dependents together with the
--   event, which is one, however many they are; the flow ends with the last one. Refused as a whole where a
--   task is running or final, or where another needs its result and none is given that stands in for it.
-- ARGV: see operation.lua; its own: the reason (JSON text), the result that its readers get ("": none), the
--   tasks as runs, "2-9,12"
-- Reply: see operation.lua. Cost: linear in the tasks and their dependents (wide ones in steps, see
--   release.lua).
local generation, operation, id, by, version, restored, reason, result, tasks = unpack(ARGV, 1, 9)
local flow, reply = open_flow(generation, operation, id, by, version, restored, ARGV, 10)
if not flow then
  return reply
end
local ended = flow.ruled and result ~= '' and WITH_RESULT_STATE or IGNORE
local payload = result ~= '' and '=' .. result or nil
local runs, chosen, numbers = {}, {}, {} -- tasks: as asked for; {[number] = its digits}; each once
local asked, count = 0, 0 -- of the tasks asked for, of the numbers
for first, last in string.gmatch(tasks, '(%d+)%-?(%d*)') do
  first = tonumber(first)
  last = tonumber(last) or first
  runs[#runs + 1], asked = { first, last }, asked + last - first + 1
end
local is_counted = flow.ruled or string.find(flow.flags, COUNTS_ACTIVE) or has_flag(flow, GAVE_PLACE_BACK)
-- Many tasks of a flow are read as a whole flow is, some by themselves.
local IS_MANY = 4
local is_whole = is_counted or IS_MANY * asked > flow.left + flow.done
local known_tasks = {} -- by number; false: there is none

-- Reads tasks (their numbers), if they are not known yet.
local function read_tasks(wanted)
  local names, unknown = {}, {}
  for index = 1, #wanted do
    local task, n = tonumber(wanted[index]), #names
    if known_tasks[task] == nil then
      local text = digits(task)
      known_tasks[task] = false
      names[n + 1], names[n + 2], names[n + 3] = state_field(text), lane_field(text), dependents_field(text)
      unknown[#unknown + 1] = task
    end
  end
  local values = values_of(flow, names)
  for index = 1, #unknown do
    local at = 3 * index - 2
    known_tasks[unknown[index]] = values[at + 1]
      and make_alike(flow, false, values[at] or NEVER, values[at + 1], values[at + 2]).known
  end
end

if is_whole then
  load_whole(flow)
  known_tasks = flow.tasks
else
  local wanted = {}
  for _, run in ipairs(runs) do
    for task = run[1], run[2] do
      wanted[#wanted + 1] = task
    end
  end
  read_tasks(wanted)
end

-- Takes the tasks from first to last; a refusal, or nil.
local function take_run(first, last)
  local tasks, texts, n = known_tasks, digits_of, count
  for task = first, last do
    local known = tasks[task]
    local status = known and known.status
    if not known then
      return refused(flow, 'unknown', digits(task))
    elseif chosen[task] then
      status = nil -- it was named before
    elseif status == RUNNING then
      return refused(flow, 'ignore-running', digits(task))
    elseif is_closed(status) then
      return refused(flow, 'final', digits(task), status == FINISH and 'finished' or 'ignored')
    elseif known.kind == GIVEN_UP then
      return refused(flow, 'final', digits(task), 'given up')
    else
      n = n + 1
      chosen[task], numbers[n] = texts[task] or digits(task), task
    end
  end
  count = n
  return nil
end
for _, run in ipairs(runs) do
  local refusal = take_run(run[1], run[2])
  if refusal then
    return refusal
  end
end

-- The tasks, "4, 5, ...", that cannot run without the result of this one, and are not passed over with it.
local MOST_NAMED = 10
local readers_by_text = {}
-- Of the tasks behind others (their text) those that are not final, and what they cannot do without; all of
-- that together, too.
local function open_readers(dependents)
  local found = readers_by_text[dependents]
  if not found then
    local behind = tasks_read(dependents)
    if not is_whole then
      read_tasks(behind)
    end
    found = { needed = {} }
    for _, text in ipairs(behind) do
      local known = known_tasks[tonumber(text)]
      if known and known.reads and not chosen[tonumber(text)] and not is_final(known) then
        local needed = {}
        for producer in string.gmatch(known.reads, '[^,]+') do
          needed[producer], found.needed[producer] = true, true
        end
        found[#found + 1] = { task = text, needed = needed }
      end
    end
    readers_by_text[dependents] = found
  end
  return found
end

local function in_need_of(text, readers)
  local found = {}
  for _, reader in ipairs(readers) do
    if reader.needed[text] then
      found[#found + 1] = reader.task
    end
  end
  if #found > MOST_NAMED then
    found = { unpack(found, 1, MOST_NAMED) }
    found[MOST_NAMED + 1] = '...'
  end
  return #found > 0 and concat(found, ', ')
end

if flow.kept and result == '' then
  local dependents_before, readers = nil, nil
  for index = 1, count do
    local dependents = known_tasks[numbers[index]].dependents
    if dependents ~= dependents_before then
      dependents_before = dependents
      readers = dependents and (readers_by_text[dependents] or open_readers(dependents))
    end
    local text = readers and chosen[numbers[index]]
    local needing = text and readers.needed[text] and in_need_of(text, readers)
    if needing then
      return refused(flow, 'needed', text, needing)
    end
  end
end
local ready = is_counted and find_ready(flow)
go_on(flow)
if is_whole and not flow.ruled then
  push_unreleased(flow)
  flow.unreleased = nil
end
if is_counted and not flow.ruled then
  count_active(flow)
  for _, task in ipairs(numbers) do
    if known_tasks[task].status == WAIT and (ready[task] or is_retrying(known_tasks[task])) then
      change_active(flow, -1)
    end
  end
end
local in_lane = {} -- for the rules
for task = 1, flow.ruled and flow.count or 0 do
  local unreleased = flow.unreleased
  in_lane[task] = ready[task] and known_tasks[task].lease == NO_LEASE
    and not (unreleased and unreleased[task])
end

-- A task leaves where it waits, or what it is held for.
local asker = asker_of(flow)
local function leave(text, known)
  if asker == text then
    forget_asker(flow, text)
  end
  if known.status == WAIT and known.lease == NO_LEASE then
    pull(known.lane, flow, text)
  elseif known.status == WAIT then
    unplace(flow, text, known)
  else
    leave_child_of(flow.id, text, known.attempt, known.lease)
    let_items_start(flow, has_flag(flow, HAS_ITEMS) and call('HGET', flow.key, items_field(text)))
    if flow.ruled then
      drop_timer(hold_timer(flow.id, text))
    end
  end
end

local stood = { [WAIT] = { n = 0 }, [SUSPEND] = { n = 0 } }
-- All of them before any is released: they may depend on each other.
local function leave_all()
  local alike, list, state, is_waiting, lane = nil, nil, nil, false, nil
  local in_lanes, pulled_of_lane = {}, nil -- what is in a lane, by that
  local names, written, at = names_of(flow, state_field('')), {}, 0
  for index = 1, count do
    local task = numbers[index]
    local known, text = known_tasks[task], chosen[task]
    if known.alike ~= alike then
      alike, list, lane = known.alike, stood[known.status], known.lane
      state = ended .. ' ' .. known.attempt .. ' ' .. known.lost .. ' ' .. NO_LEASE
      is_waiting = known.status == WAIT
      pulled_of_lane = in_lanes[lane] or { are_there = flow.ruled }
      in_lanes[lane] = pulled_of_lane
    end
    local n = list.n + 1
    list[n], list.n = task, n
    if is_waiting and text ~= asker and known.lease == NO_LEASE then
      pulled_of_lane[#pulled_of_lane + 1] = text
      if not in_lane[task] then
        pulled_of_lane.are_there = false
      end
    else
      leave(text, known)
    end
    local name = names[task] or state_field(text)
    if flow[name] then
      set(flow, name, state)
    else
      written[at + 1], written[at + 2] = name, state
      at = at + 2
    end
  end
  write_many(flow, written, at)
  for in_lane_now, texts in pairs(in_lanes) do
    pull_many(in_lane_now, flow, texts, texts.are_there)
  end
end
leave_all()
count_ends(flow, numbers, count)

-- Runs of numbers as an event has them: "[1,3],[5,5]"; tasks are sorted then.
local function ranges_in(name, found)
  local is_sorted = true
  for index = 2, #found do
    if found[index] < found[index - 1] then
      is_sorted = false
    end
  end
  if not is_sorted then
    table.sort(found)
  end
  local ranges = string.gsub(runs_of(found) .. ',', '(%d+)%-?(%d*),', function(first, last)
    return '[' .. first .. ',' .. (last == '' and first or last) .. '],'
  end)
  return #found == 0 and '' or ',"' .. name .. '":[' .. sub(ranges, 1, -2) .. ']'
end

local function append_ignored()
  local one = count == 1 and known_tasks[numbers[1]]
  local said = one and ',"task":' .. digits(numbers[1]) .. ',"was":' .. one.status
    or ranges_in('ranges', stood[WAIT]) .. ranges_in('held', stood[SUSPEND])
  append((one and '{"type":"task.ignored' or '{"type":"tasks.ignored') .. at_flow .. flow.id .. '","v":'
    .. next_version(flow) .. ',"by":' .. by .. said .. ',"reason":' .. reason
    .. (result == '' and '' or ',"result":' .. result) .. (flow.left == 0 and ',"ends":true}' or '}'))
end
append_ignored()

-- Reads what is known of results that the tasks have, or read, at once.
local function read_results()
  local names = {}
  for index = 1, count do
    local reads = known_tasks[numbers[index]].reads
    names[#names + 1] = payload and readers_field(chosen[numbers[index]])
    if reads and not match(reads, ITEMS_READ) then
      for _, producer in ipairs(tasks_read(reads)) do
        names[#names + 1] = readers_field(producer)
      end
    end
  end
  local values = values_of(flow, names)
  for index = 1, #names do
    flow[names[index]] = flow[names[index]] or values[index]
  end
end

local ignored = { status = IGNORE, kind = false, lease = NO_LEASE }
local passed_over = { status = IGNORE, kind = 'p', lease = NO_LEASE }
local function release_ruled()
  local keeps, change = flow.kept and flow.left > 0, payload and passed_over or ignored
  local own_of, alike, meta = next, nil, nil
  for index = 1, count do
    local known = known_tasks[numbers[index]]
    if keeps and (payload or known.reads) then
      settle_data(flow, chosen[numbers[index]], payload, known.dependents, known.reads or nil, {})
    end
    local own = own_of(known)
    if own and (own ~= 'lease' or own_of(known, own) ~= nil) then
      become(known, change)
    else
      if known.alike ~= alike then
        alike = known.alike
        meta = changed_alike(alike, change).meta
      end
      setmetatable(known, meta)
      known.lease = nil
    end
  end
  flow.unreleased = nil
  redecide(flow, in_lane)
end

-- Those behind them hear of all of them together, but for very many.
local function release_plain()
  local counts = {}
  for index = 1, count do
    local known = known_tasks[numbers[index]]
    if known.dependents and #known.dependents > WIDE_BYTES then
      release_in_steps(flow, chosen[numbers[index]])
    elseif known.dependents then
      count_of_text(counts, known.dependents, 1)
    end
  end
  for task = 1, flow.count do
    local known = counts[task] and flow.tasks[task]
    local open = known and known.open and known.open - counts[task]
    if open then
      set(flow, open_field(digits(task)), digits(open))
    end
    if known and known.status == WAIT and not chosen[task] and (not open or open == 0) then
      change_active(flow, 1)
      push(known.lane, flow, digits(task))
    end
  end
end

if flow.kept and flow.left > 0 then
  read_results()
end
if flow.ruled then
  release_ruled()
elseif is_whole and not flow.kept and flow.left > 0 then
  release_plain()
else
  for index = 1, count do
    local known, text = known_tasks[numbers[index]], chosen[numbers[index]]
    local links = known.dependents or (known.reads and '')
    if links then
      release(flow, text, flow.kept and links .. '<' .. (known.reads or '') .. (known.is_long and '!' or '')
        or links, payload)
    end
  end
end
if flow.left > 0 then
  restart_flow_timer(flow)
end
return conclude(flow, numbers)
