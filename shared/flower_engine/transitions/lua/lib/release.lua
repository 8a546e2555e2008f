-- Releases dependents in bounded steps, so that a very wide fan-out never blocks Redis for long.
--
-- A task that becomes final with few dependents releases them at once. One with many leaves a note in
-- the list "fanout" (see fanout_notes.lua), and every later call of finish_and_claim takes up to RELEASE_STEP
-- dependents from the notes before it claims.
-- needs: base, fanout_notes, flow_fields, flows, keys, ready
local RELEASE_STEP = 500
local WIDE_BYTES = 2000 -- of "12,13,14": about RELEASE_STEP dependents
local WAITING = 48 -- "0", the status that a state begins with
local byte = string.byte

-- Counts one dependency less for a task; one that waits and has none left is pushed to its lane. (It does
-- not wait if an operator passed over it, or reran something before it alone.) Its state and message are
-- kept: the claim that follows often takes just that task. (The message of a task that reads very many others
-- is long, as it names them all: where tasks read others it is left to the claim.) A root is released by
-- nothing that its count of open dependencies counts: in a fork all of them can be taken over.
local function release_one(flow, task, is_root, open, lane, state, message)
  local open_name = open_field(task)
  open = flow[open_name] or open
  if is_root then
    open = nil
  elseif open then
    open = open - 1
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

local function release_some(flow, tasks, are_roots)
  local names, width = {}, flow.kept and 3 or 4
  for index = 1, #tasks do
    local task, n = tasks[index], #names
    names[n + 1], names[n + 2], names[n + 3] = open_field(task), lane_field(task), state_field(task)
    if width == 4 then
      names[n + 4] = message_field(task)
    end
  end
  local got = call('HMGET', flow.key, unpack(names))
  for index = 1, #tasks do
    local at = width * (index - 1)
    release_one(flow, tasks[index], are_roots, got[at + 1], got[at + 2], got[at + 3],
      width == 4 and got[at + 4] or nil)
  end
end

-- The task is final: its dependents ("2,3") go on now, or in steps when there are many.
local function release(flow, task, dependents)
  if #dependents > WIDE_BYTES then
    note_fanout(flow.id, task)
    change_active(flow, 1) -- the note
  elseif not string.find(dependents, ',', 1, true) then
    local only = dependents
    local got
    if flow.kept then
      got = call('HMGET', flow.key, open_field(only), lane_field(only), state_field(only))
    else
      got = call('HMGET', flow.key, open_field(only), lane_field(only), state_field(only),
        message_field(only))
    end
    release_one(flow, only, false, got[1], got[2], got[3], got[4])
  else
    local tasks = {}
    for dependent in string.gmatch(dependents, '%d+') do
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
  local id, task, from = match(note, '^(.-):(%d+):(%d+)$')
  local flow, _, dependents = load_task(id, task, dependents_field(task))
  local next_byte
  if flow and dependents then
    local tasks = {}
    local at = tonumber(from)
    while at <= #dependents and #tasks < RELEASE_STEP do
      local dependent, after = match(dependents, '^(%d+),?()', at)
      tasks[#tasks + 1] = dependent
      at = after
    end
    release_some(flow, tasks, task == '0')
    next_byte = at <= #dependents and at or nil
  end
  if next_byte then
    call('LSET', fanout, 0, id .. ':' .. task .. ':' .. string.format('%d', next_byte))
    return waiting
  end
  if flow then
    change_active(flow, -1)
  end
  call('LPOP', fanout)
  call('HINCRBY', meta_key(), 'fanout', -1)
  return waiting - 1
end
