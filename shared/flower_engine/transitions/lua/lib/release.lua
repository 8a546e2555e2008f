-- Releases dependents in bounded steps, so that a very wide fan-out never blocks Redis for long.
--
-- A task that becomes final with few dependents releases them at once. One with many leaves a note in
-- the list "fanout" (see fanout_notes.lua), and every later call of finish_and_claim takes up to RELEASE_STEP
-- dependents from the notes before it claims.
-- needs: base, common_fields, fanout_notes, flow_fields, flows, items, kept_results, keys, ready, rules
-- needs: unneeded
local RELEASE_STEP = 500
local WIDE_BYTES = 2000 -- of "12,13,14": about RELEASE_STEP dependents
local WAITING = 48 -- "0", the status that a state begins with
local byte = string.byte

-- Counts one dependency less for a task, or `by` many; one that waits and has none left is pushed to its
-- lane. (It does not wait if an operator passed over it, or reran something before it alone.) Its state and
-- message are kept: the claim that follows often takes just that task. A root is released by nothing that its
-- count of open dependencies counts: in a fork all of them can be taken over.
local function release_one(flow, task, is_root, open, lane, state, message, by)
  local open_name = open_field(task)
  open = flow[open_name] or open
  if is_root then
    open = nil
  elseif open then
    open = open - (by or 1)
    set(flow, open_name, open)
  end
  if not open or open == 0 then
    local state_name = state_field(task)
    state = flow[state_name] or state or NEVER
    flow[state_name] = state
    if byte(state) == WAITING then
      flow[message_field(task)] = message
      change_active(flow, 1)
      push(lane, flow, task)
    end
  end
end

-- Adds the fields that release_found wants of these tasks to `names`; of each there are so many (4: with the
-- message). The message of a task that reads very many others is long, as it names them all: it is left to
-- the claim, since each of those would ask for it.
local function add_names(names, tasks, width)
  for index = 1, #tasks do
    local task, n = tasks[index], #names
    names[n + 1], names[n + 2], names[n + 3] = open_field(task), lane_field(task), state_field(task)
    if width == 4 then
      names[n + 4] = message_field(task)
    end
  end
end

local function release_found(flow, tasks, are_roots, width, got)
  for index = 1, #tasks do
    local at = width * (index - 1)
    release_one(flow, tasks[index], are_roots, got[at + 1], got[at + 2], got[at + 3],
      width == 4 and got[at + 4] or nil)
  end
end

local function release_some(flow, tasks, are_roots, is_long)
  local names, width = {}, is_long and 3 or 4
  add_names(names, tasks, width)
  release_found(flow, tasks, are_roots, width, values_of(flow, names))
end

local function release_in_steps(flow, task)
  note_fanout(flow.id, task)
  change_active(flow, 1) -- the note
end

-- The same as release, where one task waits for this one, and this read one result (nil: none).
local function release_next(flow, task, dependent, producer, payload)
  local own = readers_field(task)
  local read = producer and readers_field(producer) or own
  local got = call('HMGET', flow.key, open_field(dependent), lane_field(dependent), state_field(dependent),
    message_field(dependent), own, read)
  if payload then
    flow[own] = flow[own] or got[5]
    keep_result(flow, task, payload)
  end
  if producer then
    flow[read] = flow[read] or got[6]
    count_reader(flow, producer, -1)
  end
  local lane = got[2] or field_of(flow, lane_field(dependent))
  release_one(flow, dependent, false, got[1], lane, got[3], got[4])
end

-- The same as release, in a flow with data: what this is for dependents and for results is read at once.
local function release_with_data(flow, task, links, payload)
  if flow.left == 0 then
    return -- it ends
  end
  local dependents, reads, is_long = links_of(links)
  if tonumber(dependents or '') and (not reads or tonumber(reads)) and not is_long then
    release_next(flow, task, dependents, reads, payload) -- as in every chain
    return
  end
  local tasks, names, width = {}, {}, is_long and 3 or 4
  if dependents and #dependents > WIDE_BYTES then
    release_in_steps(flow, task)
  elseif dependents then
    tasks = tasks_read(dependents)
    add_names(names, tasks, width)
  end
  local got = settle_data(flow, task, payload, dependents, reads, names)
  release_found(flow, tasks, false, width, got)
end

-- The task is final: its dependents ("2,3", with what it read where the flow has data) go on now, or in steps
-- when there are many; its result is kept (`payload`, nil: it has none) where one of those reads it. `kind`:
-- how it has ended, for flows with rules.
local function release(flow, task, links, payload, kind)
  if flow.ruled then
    by_rules().end_task(flow, task, links, kind, payload)
  elseif flow.kept then
    release_with_data(flow, task, links, payload)
  elseif #links > WIDE_BYTES then
    release_in_steps(flow, task)
  elseif not string.find(links, ',', 1, true) then
    local got = call('HMGET', flow.key, open_field(links), lane_field(links), state_field(links),
      message_field(links))
    release_one(flow, links, false, got[1], got[2], got[3], got[4])
  else
    local tasks = {}
    for dependent in string.gmatch(links, '%d+') do
      tasks[#tasks + 1] = dependent
    end
    release_some(flow, tasks, false)
  end
end

-- Takes one step of the oldest note. `waiting` is how many notes there are; returns how many remain.
local function release_step(waiting)
  if waiting == 0 then
    return 0
  end
  local fanout = fanout_key()
  local note = call('LINDEX', fanout, 0)
  if not note then -- the count of notes was wrong; that must stop nobody
    call('HSET', meta_key(), 'fanout', 0)
    return 0
  end
  local id, task, kind, from = match(note, '^(.-):(%d+):(%a?)(%d+)$')
  if kind == 'c' or kind == 'C' then
    return look_step(note, waiting)
  end
  local field = kind == 's' and watchers_field(task) or (kind == 'i' or kind == 'k') and items_field(task)
    or dependents_field(task)
  local flow, _, links = load_task(id, task, field)
  local dependents, _, is_long = links_of(links)
  local next_byte
  if kind == 'i' then
    next_byte = flow and links and release_items(flow, links, tonumber(from), RELEASE_STEP)
  elseif kind == 'k' then
    next_byte = flow and links and forget_items(flow, links, tonumber(from), FORGET_STEP)
    if flow then
      flow.dirty = true
    end
  elseif flow and dependents then
    local tasks = {}
    local at = tonumber(from)
    while at <= #dependents and #tasks < RELEASE_STEP do
      local dependent, after = match(dependents, '^(%d+),?()', at)
      tasks[#tasks + 1] = dependent
      at = after
    end
    if kind ~= '' then
      by_rules().tell_some(flow, task, kind, tasks)
      by_rules().settle_ends(flow, task)
    else
      release_some(flow, tasks, task == '0', is_long)
    end
    next_byte = at <= #dependents and at or nil
  end
  if next_byte then
    call('LSET', fanout, 0, id .. ':' .. task .. ':' .. kind .. string.format('%d', next_byte))
    return waiting
  end
  if flow then
    change_active(flow, -1)
  end
  call('LPOP', fanout)
  call('HINCRBY', meta_key(), 'fanout', -1)
  return waiting - 1
end
