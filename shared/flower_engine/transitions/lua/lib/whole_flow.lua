-- A flow as a whole: what operations that concern all of it, or tasks before and behind each other, stand on.
-- rarely used
-- needs: awaiting, base, edges, flow_fields, flows, items, kept_results, keys, limits, next_rounds, ready
-- needs: statuses
-- needs: suspects, timers, tree_notes
local HEAD = '^%S+ %d+ %d+ ' -- of a state: all but its lease

-- Takes the flow's notes of wide fan-outs off the list (see release.lua): what they had still to count is
-- counted now (of roots, task 0, nothing is), and flow.unreleased names what they had still to push. Whoever
-- loads a flow as a whole pushes that, or places it otherwise, and saves the flow. A note of a flow that had
-- ended in the middle is void: the state that was put back has everything counted.
local function drain_notes(flow)
  if tonumber(call('HGET', meta_key(), 'fanout') or 0) <= 0 then
    return
  end
  local fanout = fanout_key()
  for _, note in ipairs(call('LRANGE', fanout, 0, -1)) do
    local id, task, from = match(note, '^(.-):(%d+):(%d+)$') -- none with a kind: see whole_rules.lua
    local of_map, map, kind, index = match(note, '^(.-):(%d+):([ik])(%d+)$')
    if of_map == flow.id then
      call('LREM', fanout, 1, note)
      call('HINCRBY', meta_key(), 'fanout', -1)
      local items = not flow.restored and call('HGET', flow.key, items_field(map))
      if items and kind == 'k' then
        forget_items(flow, items, tonumber(index), math.huge)
        flow.dirty = true
      elseif items then
        local first, count = match(items, '^(%d+) (%d+)')
        flow.unreleased = flow.unreleased or {}
        for item = first + index - 1, first + count - 1 do
          flow.unreleased[item] = true
        end
      end
    elseif id == flow.id then
      call('LREM', fanout, 1, note)
      call('HINCRBY', meta_key(), 'fanout', -1)
      flow.unreleased = flow.unreleased or {}
      local dependents = not flow.restored and links_of(call('HGET', flow.key, dependents_field(task)))
      for dependent in string.gmatch(sub(dependents or '', tonumber(from)), '%d+') do
        flow.unreleased[dependent + 0] = true
        local name = open_field(dependent)
        local open = task ~= '0' and (flow[name] or call('HGET', flow.key, name))
        if open then
          set(flow, name, digits(open - 1))
        end
      end
    end
  end
end

-- What is known of maps of a whole flow: {items = {first, last, along}} of each that is expanded (along: the
-- map whose items these go along, or nil; flow.along lists such maps).
local function load_items(flow)
  flow.along = {}
  local maps, names = {}, {}
  for task = 1, flow.count do
    if string.byte(flow.tasks[task].lane) == OF_THE_WORLD then
      maps[#maps + 1], names[#names + 1] = task, items_field(digits(task))
    end
  end
  local values = values_of(flow, names)
  for index = 1, #maps do
    if values[index] then
      local number, count, along = match(values[index], '^(%d+) (%d+) ?(%d*)$')
      flow.tasks[maps[index]].items = { first = number + 0, last = number + count - 1,
        along = tonumber(along) }
      if along ~= '' then
        flow.along[#flow.along + 1] = maps[index]
      end
    end
  end
end

-- The tasks behind one, as numbers; those of a text are made once.
local behind_by_text, nobody = {}, {}
local function tasks_behind(known)
  local text = known.dependents
  if not text then
    return nobody
  end
  local found = behind_by_text[text]
  if not found then
    local only = tonumber(text)
    found = { only }
    for dependent in string.gmatch(only and '' or text, '%d+') do
      found[#found + 1] = tonumber(dependent)
    end
    behind_by_text[text] = found
  end
  return found
end

-- Counts one more dependency (in `counts`) of each task behind one. Most have but one behind them.
local function count_behind_one(counts, known)
  local only = tonumber(known.dependents or nil)
  if only then
    counts[only] = (counts[only] or 0) + 1
    return
  end
  for _, dependent in ipairs(tasks_behind(known)) do
    counts[dependent] = (counts[dependent] or 0) + 1
  end
end

-- What this call knows of these fields of tasks better than Redis does, by what their names begin with:
-- values by task.
local function learned_columns(flow)
  local columns = {}
  for name, value in pairs(flow) do
    local column, task = match(name, '^([sl])(%d+)$')
    if column and value then
      columns[column] = columns[column] or {}
      columns[column][tonumber(task)] = value
    end
  end
  return columns
end

-- One field, "s" for example, of the tasks from first to last.
local function read_column(flow, column, first, last, learned)
  local names = {}
  for task = first, last do
    names[task - first + 1] = column .. digits(task)
  end
  local got = call('HMGET', flow.key, unpack(names))
  if learned then
    for index = 1, #names do
      got[index] = learned[first + index - 1] or got[index]
    end
  end
  return got
end

-- What many tasks have in common, and the table that stands behind each of them.
local function make_alike(flow, has_items, state, lane, links, rules)
  local status, attempt, lost, lease = match(state, STATE)
  local dependents, reads, is_long = links_of(links)
  local known = { status = status, attempt = attempt, lost = lost, lease = lease, lane = lane,
    dependents = dependents, reads = reads, is_long = is_long, rules = rules or nil }
  local kind = match(state, KIND)
  known.kind = (flow.ruled or kind == GIVEN_UP) and kind
  known.vanished = has_items and match(state, KIND) == VANISHED
  if flow.ruled then
    known.rule, known.most, known.branch = rules_of_edges().rule_in(known.rules)
  end
  known.alike = { known = known, meta = { __index = known }, others = {}, state = state,
    head = match(state, HEAD), links = links, rules = rules }
  return known.alike
end

-- What tasks that an operation changes are from then on.
local to_wait_again = { status = WAIT, kind = false, lost = '0', lease = NO_LEASE }
local to_be_cut_off = { status = IGNORE, kind = CUT_OFF, lease = NO_LEASE }
local to_vanish = { status = IGNORE, kind = VANISHED, lease = NO_LEASE, dependents = false, vanished = true }

-- A task of a whole flow is so (one of those above) from here on, as others are that were like it.
local function become(known, change)
  local other = known.alike.others[change]
  if not other then
    local common = {}
    other = { known = common, meta = { __index = common }, others = {} }
    for name, value in pairs(known.alike.known) do
      common[name] = value
    end
    for name, value in pairs(change) do
      common[name] = value
    end
    known.alike.others[change], common.alike = other, other
  end
  setmetatable(known, other.meta)
  if next(known) then
    for name, value in pairs(change) do
      if known[name] ~= value then -- it had one of its own
        known[name] = value
      end
    end
  end
end

-- The same change for all tasks with these links.
local changes_of_links = {}
local function change_of_links(links, dependents, reads, is_long)
  local change = changes_of_links[links]
  if not change then
    change = { dependents = dependents, reads = reads, is_long = is_long }
    changes_of_links[links] = change
  end
  return change
end

-- A task of a whole flow with rules has others from here on (nil or false: none).
local function give_rules(known, rules)
  known.rules = rules or false
  known.rule, known.most, known.branch = rules_of_edges().rule_in(rules or nil)
  known.branch = known.branch or false
end

-- Reads of a flow's tasks what only those have that others lead to: counts of open dependencies (of more than
-- one, as a rule; but a map may have had more items), and how these stand.
local function load_dependencies(flow, has_items)
  local tasks, before = flow.tasks, {}
  for task = 1, flow.count do
    if tasks[task].dependents then
      count_behind_one(before, tasks[task])
    end
  end
  local names, having = {}, {}
  for task = 1, flow.count do
    local count, n = before[task] or 0, #names
    if count > 1 or (count == 1 and (flow.ruled or has_items))
      or (has_items and string.byte(tasks[task].lane) == OF_THE_WORLD) then
      names[n + 1], having[n + 1] = open_field(digits(task)), tasks[task]
      if flow.ruled then
        names[n + 2], having[n + 2] = edges_field(digits(task)), false
      end
    end
  end
  local values = values_of(flow, names)
  for index = 1, #names do
    local known, value = having[index], flow[names[index]] or values[index] or nil
    if known then
      known.open = value
    else
      having[index - 1].edges = value
    end
  end
end

-- Reads who is behind the tasks of a flow that was loaded for their places only.
local function load_links(flow)
  local before = nil
  for first = 1, flow.count, CHUNK do
    local last = math.min(flow.count, first + CHUNK - 1)
    local got = read_column(flow, dependents_field(''), first, last)
    for index = 1, last - first + 1 do
      local links = got[index]
      if links then
        local dependents, reads, is_long = links_of(links)
        local known = flow.tasks[first + index - 1]
        if links == before then
          become(known, change_of_links(links, dependents, reads, is_long))
        else
          known.dependents, known.reads, known.is_long = dependents, reads, is_long
        end
      end
      before = links
    end
  end
  flow.has_links = true
  load_dependencies(flow, has_flag(flow, HAS_ITEMS))
end

-- Reads every task of a loaded flow into flow.tasks: {status, attempt, lost, lease, lane, open, dependents,
-- reads, is_long}. `open` is the count that is kept (nil: none is), `dependents` a text "2,3" or nil; that
-- and the others as links_of has them. Of a flow with rules {kind, rules, edges}, too, as its fields have it
-- (of one without them the kind of what was given up, as another round was asked for);
-- of one with items whether a task has `vanished`, as it belongs to no map any more. What a task has not, or
-- not any more, is nil or false.
-- `least`: 'places' for those that only look where tasks wait (then links, open and edges are not read, and
-- are when somebody asks who is ready), 'links' for those to whom `open` says nothing.
-- Most tasks of a large flow are alike: what they have in common lies in one table behind them.
local function load_whole(flow, least)
  local count = flow.left + flow.done
  drain_notes(flow)
  local tasks, has_items, learned = {}, has_flag(flow, HAS_ITEMS), learned_columns(flow)
  local has_links = least ~= 'places'
  local alike_by_lane, state_before, links_before = {}, nil, nil
  for first = 1, count, CHUNK do
    local last = math.min(count, first + CHUNK - 1)
    local states = read_column(flow, state_field(''), first, last, learned.s)
    local lanes_read = read_column(flow, lane_field(''), first, last, learned.l)
    local links_read = has_links and read_column(flow, dependents_field(''), first, last)
    local rules_read = flow.ruled and read_column(flow, rules_field(''), first, last)
    for index = 1, last - first + 1 do
      local state, lane, links = states[index] or NEVER, lanes_read[index], links_read and links_read[index]
      local rules = rules_read and rules_read[index]
      local alike = alike_by_lane[lane]
      local head, lease = nil, nil
      if alike and state ~= alike.state then
        if sub(state, 1, #alike.head) == alike.head then
          head, lease = alike.head, sub(state, #alike.head + 1)
        else
          head = true
        end
      end
      if not alike or rules ~= alike.rules or (head and (head ~= alike.head or state == state_before))
        or (links ~= alike.links and links == links_before) then
        alike = make_alike(flow, has_items, state, lane, links, rules)
        alike_by_lane[lane] = alike
        head = nil
      end
      local known = setmetatable({}, alike.meta)
      if head then
        known.lease = lease
      end
      if links ~= alike.links then
        local dependents, reads, is_long = links_of(links)
        known.dependents = dependents or false
        if reads ~= alike.known.reads or is_long ~= alike.known.is_long then
          known.reads, known.is_long = reads or false, is_long or false
        end
      end
      state_before, links_before = state, links
      tasks[first + index - 1] = known
    end
  end
  flow.tasks, flow.count, flow.has_links = tasks, count, has_links
  if has_links and (flow.ruled or least ~= 'links') then
    load_dependencies(flow, has_items)
  end
  if has_items then
    load_items(flow)
  end
end

local function is_final(known)
  return known.status == FINISH or known.status == IGNORE or known.kind == GIVEN_UP
end

-- Open dependencies of every task of a whole flow, counted from the statuses of those before it.
local function count_open(flow)
  local open, tasks = {}, flow.tasks
  for task = 1, flow.count do
    open[task] = 0
  end
  for task = 1, flow.count do
    local known = tasks[task]
    if known.dependents and not is_final(known) then
      count_behind_one(open, known)
    end
  end
  return open
end

local function is_retrying(known)
  return known.status == WAIT and sub(known.lease, 1, 1) == '@'
end

-- Whether it waits elsewhere than in a lane: for the time of its retry, or for the world.
local function is_away(known)
  return known.status == WAIT and known.lease ~= NO_LEASE
end

-- The same as find_ready, by what the tasks have heard so far.
local function find_ready_by_rules(flow)
  local by = rules_of_edges()
  local ready, has_dependencies = {}, {}
  for task = 1, flow.count do
    if flow.tasks[task].dependents then
      count_behind_one(has_dependencies, flow.tasks[task])
    end
  end
  for task = 1, flow.count do
    local known = flow.tasks[task]
    if known.status ~= WAIT then
      ready[task] = false
    elseif not has_dependencies[task] then
      ready[task] = true
    elseif known.edges then -- else it has heard of none
      local edges = by.edges_of(known.edges)
      local rule, most = by.rule_in(known.rules)
      local left = known.open and tonumber(known.open) or 1 - by.count_ended(edges)
      ready[task] = match(edges.used, BEGUN) ~= nil or by.decide(rule, most, edges, left) == STARTS
    end
  end
  return ready
end

-- Whether each task of a whole flow waits for nothing but a worker (or the time of its retry); of a flow with
-- rules, by what its tasks have heard so far.
local function find_ready(flow)
  if not flow.has_links then
    load_links(flow)
  end
  if flow.ruled then
    return find_ready_by_rules(flow)
  end
  local open, ready = count_open(flow), {}
  for task = 1, flow.count do
    ready[task] = flow.tasks[task].status == WAIT and open[task] == 0
  end
  return ready
end

-- Pushes every task of a whole flow that waits for nothing (and not for the time of its retry).
local function push_ready(flow)
  local ready = find_ready(flow)
  for task = 1, flow.count do
    local known = flow.tasks[task]
    if ready[task] and known.lease == NO_LEASE then
      push(known.lane, flow, digits(task))
    end
  end
end

-- Pushes what the drained notes had still to push: for a call that changes nothing else.
local function push_unreleased(flow)
  if flow.unreleased then
    local ready = find_ready(flow)
    for task in pairs(flow.unreleased) do
      local known = flow.tasks[task]
      if ready[task] and known.lease == NO_LEASE then
        push(known.lane, flow, digits(task))
      end
    end
  end
end

-- Ends the lease of a running task (known: its lane, lost, lease): its work entry goes, its worker hears of
-- it with the next heartbeat, and a late outcome is refused.
local function end_lease(flow, task, known)
  local queue = match(known.lane, '^[^:]*')
  local work = work_key(queue)
  call('XACK', work, 'workers', known.lease)
  call('XDEL', work, known.lease)
  count_ended(known.lane)
  if flow.timed then
    drop_timer(attempt_timer(flow.id, task))
  end
  if known.lost ~= '0' and is_suspect_lane(known.lane) then
    local held = call('HGETALL', suspects_key())
    for index = 1, #held, 2 do
      if held[index + 1] == queue .. '/' .. known.lease then
        call('HDEL', suspects_key(), held[index])
      end
    end
  end
end

-- A field of an event that lists tasks; "" for none.
local function listed(name, tasks)
  return #tasks == 0 and '' or ',"' .. name .. '":[' .. concat(tasks, ',') .. ']'
end

-- Takes a waiting task (known: its status, lane, lease) out of where it waits.
local function unplace(flow, task, known)
  pull(known.lane, flow, task)
  if known.lease == NO_LEASE then
    return
  elseif is_retrying(known) then
    drop_timer(retry_timer(flow.id, task))
  elseif is_away(known) then
    stop_awaiting(flow, task, known.lease)
  end
end

-- Whether failures of a task may be noted: they are where another attempt follows.
local function may_have_failures(known)
  return known.attempt ~= '0' and (known.attempt ~= '1' or known.status == WAIT or known.status == IGNORE)
end

-- Makes tasks of a whole flow ({[task] = true}) wait from the start again, whatever they are (but running);
-- what waits behind them waits for them again, which of a flow with rules is to be decided then
-- (whole_rules.lua). (`moved`: it has left its lane; `retimed`: it stays there, and its time to wait begins
-- anew, by another policy.) Returns which tasks are in their lanes still, but for the moved ones.
local function reopen(flow, again)
  local before, in_lanes, leases = find_ready(flow), {}, {}
  local forgotten, are_plain, states, has_rounds = {}, {}, {}, call('HEXISTS', flow.key, ROUNDS) == 1
  for task = 1, flow.count do
    local known = again[task] and flow.tasks[task]
    if known then
      local text, status, lane = digits(task), known.status, known.lane
      leases[task] = known.lease
      if is_final(known) then
        flow.left = flow.left + 1
        flow.done = flow.done - 1
      end
      if status == SUSPEND then
        if flow.ruled then
          drop_timer(hold_timer(flow.id, text))
        end
        if known.lease == WITH_CHILD and not known.keeps_child then
          leave_held(flow, text, known)
        end
        if known.items then
          let_items_start(flow, digits(known.items.first))
        end
      elseif status == FINISH then
        forgotten[#forgotten + 1] = progress_field(text)
      end
      forget_asker(flow, text)
      if may_have_failures(known) then
        forgotten[#forgotten + 1] = failures_field(text)
      end
      if has_rounds then
        forgotten[#forgotten + 1] = round_field(text)
      end
      if are_plain[lane] == nil then
        are_plain[lane] = is_plain_lane(lane)
      end
      if not are_plain[lane] then
        if status == WAIT then
          unplace(flow, text, known)
          known.moved = true
        end
        known.lane = plain_lane(lane)
        set(flow, lane_field(text), known.lane)
      end
      if status == WAIT then
        if is_retrying(known) then
          drop_timer(retry_timer(flow.id, text))
        elseif is_away(known) then
          stop_awaiting(flow, text, known.lease)
        end
      end
      become(known, to_wait_again)
      if known.keeps_child then
        known.lease = WITH_CHILD
      end
      if known.edges and match(known.edges, '!') then -- it has not begun any more
        known.edges = string.gsub(known.edges, '!', '')
        set(flow, edges_field(text), known.edges)
      end
      local state = known.lease == NO_LEASE and states[known.attempt]
      if not state then
        state = WAIT .. ' ' .. known.attempt .. ' 0 ' .. known.lease
        states[known.attempt] = known.lease == NO_LEASE and state or nil
      end
      set(flow, state_field(text), state)
    end
  end
  if #forgotten > 0 then
    call_chunked('HDEL', flow.key, forgotten, CHUNK)
  end
  if not flow.ruled and has_flag(flow, HAS_GIVEN_UP) then
    local has_given_up = false
    for task = 1, flow.count do
      has_given_up = has_given_up or flow.tasks[task].kind == GIVEN_UP
    end
    set_flag(flow, HAS_GIVEN_UP, has_given_up)
  end
  local after = not flow.ruled and count_open(flow)
  for task = 1, flow.count do
    local known = flow.tasks[task]
    local lease = leases[task] or known.lease
    local was_released = not (flow.unreleased and flow.unreleased[task])
    local in_lane = before[task] and lease == NO_LEASE and was_released and not known.moved
    if flow.ruled then
      in_lanes[task] = in_lane
    elseif known.open and tonumber(known.open) ~= after[task] then
      set(flow, open_field(digits(task)), digits(after[task]))
    end
    if not flow.ruled and known.status == WAIT then
      local text = digits(task)
      if after[task] > 0 then
        if in_lane or is_away(known) then
          unplace(flow, text, known)
          if is_away(known) then
            set_state(flow, text, WAIT, known.attempt, known.lost, NO_LEASE)
          end
        end
      elseif not in_lane and not is_away(known) then
        push(known.lane, flow, text)
      elseif in_lane and known.retimed and flow.timed and not flow.held then
        drop_timer(queue_timer(flow.id, text))
        start_queue_timer(flow, text)
      end
    end
  end
  restart_flow_timer(flow)
  return in_lanes
end
