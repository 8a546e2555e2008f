-- A flow read as a whole: what is known of each of its tasks; those that are alike have that in common.
-- rarely used
-- needs: base, common_fields, edges, flow_fields, flows, ready, statuses, whole_notes
local HEAD = '^%S+ %d+ %d+ ' -- of a state: all but its lease

-- What is known of maps of a whole flow: {items = {first, last, along}} of each that is expanded (along: the
-- map whose items these go along, or nil; flow.along lists such maps).
local function load_items(flow)
  flow.along = {}
  local maps, names = flow.of_world, {}
  for index = 1, #maps do
    names[index] = items_field(digits(maps[index]))
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

-- Counts so many more dependencies (in `counts`) of each task of a text. Most have but one behind them.
local function count_of_text(counts, text, by_so_many)
  local only = tonumber(text)
  if only then
    counts[only] = (counts[only] or 0) + by_so_many
    return
  end
  for _, dependent in ipairs(tasks_behind({ dependents = text })) do
    counts[dependent] = (counts[dependent] or 0) + by_so_many
  end
end

-- How many dependencies each task of a whole flow has (nil: none); `is_open`: that have not ended. What
-- stands behind tasks that follow each other, as items of a map do, is counted together.
local function count_dependencies(flow, is_open)
  local counts, tasks, text_before, alike = {}, flow.tasks, nil, 0
  for task = 1, flow.count do
    local known = tasks[task]
    local text = known.dependents
    if text and is_open then
      local status = known.status
      if status == FINISH or status == IGNORE or known.kind == GIVEN_UP then
        text = nil
      end
    end
    if text then
      if text == text_before then
        alike = alike + 1
      else
        if alike > 0 then
          count_of_text(counts, text_before, alike)
        end
        text_before, alike = text, 1
      end
    end
  end
  if alike > 0 then
    count_of_text(counts, text_before, alike)
  end
  return counts
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

-- The names of one field, "s" for example, of tasks, by their numbers: those that were read.
local function names_of(flow, column)
  flow.names = flow.names or {}
  local names = flow.names[column]
  if not names then
    names = {}
    flow.names[column] = names
  end
  return names
end

-- One field, "s" for example, of the tasks from first to last, whose digits are written; and the names, by
-- task. `passing`: a table for the names where nobody writes to these fields; in it they begin with 1.
local function read_column(flow, column, first, last, learned, passing)
  local names, numbers, got = passing or names_of(flow, column), digits_of, nil
  if passing then
    for index = 1, last - first + 1 do
      names[index] = column .. numbers[first + index - 1]
    end
    got = values_of(flow, names, nil, first, 1, last - first + 1)
  else
    for task = first, last do
      names[task] = column .. numbers[task]
    end
    got = values_of(flow, names, nil, first, first, last)
  end
  if learned then
    for index = 1, last - first + 1 do
      got[index] = learned[first + index - 1] or got[index]
    end
  end
  return got, names
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
    head = match(state, HEAD), links = links, rules = rules,
    is_of_world = lane and string.byte(lane) == OF_THE_WORLD,
    start = status ~= WAIT and status ~= RUNNING and match(state, '^%S+ %d+ %d+ %d') }
  return known.alike
end

-- What tasks that an operation changes are from then on.
local to_wait_again = { status = WAIT, kind = false, lost = '0', lease = NO_LEASE }
local to_be_cut_off = { status = IGNORE, kind = CUT_OFF, lease = NO_LEASE }
local to_vanish = { status = IGNORE, kind = VANISHED, lost = '0', lease = NO_LEASE, dependents = false,
  vanished = true }

-- What tasks that are alike are from here on, as others that become so (one of those above).
local function changed_alike(alike, change)
  local other = alike.others[change]
  if not other then
    local common = {}
    other = { known = common, meta = { __index = common }, others = {} }
    for name, value in pairs(alike.known) do
      common[name] = value
    end
    for name, value in pairs(change) do
      common[name] = value
    end
    alike.others[change], common.alike = other, other
  end
  return other
end

-- A task of a whole flow is so (one of those above) from here on, as others are that were like it.
local function become(known, change)
  setmetatable(known, changed_alike(known.alike, change).meta)
  local own = next(known)
  if own == 'lease' and change.lease and next(known, own) == nil then -- as most often
    known.lease = nil
  elseif own then
    for name in pairs(known) do
      if change[name] ~= nil then -- it had one of its own
        known[name] = nil
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
  local tasks, before = flow.tasks, count_dependencies(flow)
  local names, having, n, is_ruled = {}, {}, 0, flow.ruled
  local function read_of(task)
    names[n + 1], having[n + 1] = open_field(digits(task)), tasks[task]
    n = n + 1
    if is_ruled then
      n = n + 1
      names[n], having[n] = edges_field(digits(task)), false
    end
  end
  for task, count in pairs(before) do
    if count > 1 or is_ruled or has_items then
      read_of(task)
    end
  end
  for _, task in ipairs(has_items and flow.of_world or {}) do
    if not before[task] then
      read_of(task)
    end
  end
  local values = values_of(flow, names)
  for index = 1, n do
    local known, value = having[index], flow[names[index]] or values[index] or nil
    if known then
      known.open = value
    else
      having[index - 1].edges = value
    end
  end
end

-- The numbers from first to last are known as digits from here on. Of many each is put together of two parts,
-- which takes half as long as writing it.
local function write_digits(flow, first, last)
  local known, last_three = digits_of, flow.last_three or {} -- digits, "000" to "999"
  flow.last_three = last_three
  local above, thousands = 0, nil -- what these come to; as digits
  for task = first, last do
    if not known[task] then
      if task < 1000 then
        digits(task)
      else
        if task >= above + 1000 then
          above = task - task % 1000
          thousands = digits(above / 1000)
        end
        local rest = task - above
        local three = last_three[rest]
        if not three then
          three = string.format('%03d', rest)
          last_three[rest] = three
        end
        known[task] = thousands .. three
      end
    end
  end
end

-- Reads who is behind the tasks of a flow that was loaded for their places only, and their rules.
local function load_links(flow)
  local before, passing = nil, {}
  for first = 1, flow.count, CHUNK do
    local last = math.min(flow.count, first + CHUNK - 1)
    write_digits(flow, first, last)
    local got = read_column(flow, dependents_field(''), first, last)
    local rules = flow.ruled and not flow.knows_rules
      and read_column(flow, rules_field(''), first, last, nil, passing)
    for index = 1, last - first + 1 do
      local links = got[index]
      if rules and rules[index] then
        give_rules(flow.tasks[first + index - 1], rules[index])
      end
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
  flow.has_links, flow.knows_rules = true, true
  load_dependencies(flow, has_flag(flow, HAS_ITEMS))
end

-- Reads every task of a loaded flow into flow.tasks (flow.of_world lists those that await the world):
-- {status, attempt, lost, lease, lane, open, dependents, reads, is_long}. Of a task that neither waits nor
-- runs the lease may be another one that was given out once. `open` is the count that is kept (nil: none is),
-- `dependents` a text "2,3" or nil; that and the others as links_of has them. Of a flow with rules {kind,
-- rules, edges}, too, as its fields have it (of one without them the kind of what was given up, as another
-- round was asked for); of one with items whether a task has `vanished`, as it belongs to no map any more.
-- What a task has not, or not any more, is nil or false.
-- `least`: 'lanes' for those that only look where tasks wait (then links, open, rules and edges are not read,
-- and are when somebody asks who is ready), 'places' for those who look at rules, too, 'links' for those to
-- whom `open` says nothing, 'leases' for those that are to have each lease as it is.
-- Most tasks of a large flow are alike: what they have in common lies in one table behind them.
local function load_whole(flow, least)
  local count = flow.left + flow.done
  drain_notes(flow)
  local tasks, has_items, learned = {}, has_flag(flow, HAS_ITEMS), learned_columns(flow)
  local has_links, knows_rules = least ~= 'places' and least ~= 'lanes', flow.ruled and least ~= 'lanes'
  local alike_by_lane, state_before, links_before = {}, nil, nil
  local state_same, lane_same, links_same, rules_same, meta = nil, nil, nil, nil, nil
  local of_world, worldly, ignores_leases, passing = {}, 0, least ~= 'leases', {}
  for first = 1, count, CHUNK do
    local last = math.min(count, first + CHUNK - 1)
    write_digits(flow, first, last)
    local states = read_column(flow, state_field(''), first, last, learned.s)
    local lanes_read = read_column(flow, lane_field(''), first, last, learned.l, passing)
    local links_read = has_links and read_column(flow, dependents_field(''), first, last)
    local rules_read = knows_rules and read_column(flow, rules_field(''), first, last, nil, passing)
    for index = 1, last - first + 1 do
      local state, lane, links = states[index] or NEVER, lanes_read[index], links_read and links_read[index]
      local rules = rules_read and rules_read[index]
      if state ~= state_same or lane ~= lane_same or links ~= links_same or rules ~= rules_same then
        local alike = alike_by_lane[lane]
        local head, lease = nil, nil
        if alike and state ~= alike.state then
          local start = ignores_leases and alike.start
          if start and sub(state, 1, #start) == start then
            head = nil -- it is alike, too
          elseif sub(state, 1, #alike.head) == alike.head then
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
        if alike.is_of_world then
          worldly = worldly + 1
          of_world[worldly] = first + index - 1
        elseif not head and links == alike.links then -- the next one may be the same
          state_same, lane_same, links_same, rules_same, meta = state, lane, links, rules, alike.meta
        end
      else
        tasks[first + index - 1] = setmetatable({}, meta)
      end
    end
  end
  flow.tasks, flow.count, flow.has_links, flow.knows_rules = tasks, count, has_links, knows_rules
  flow.of_world = of_world
  if has_flag(flow, EMPTYING) and not flow.is_emptied then
    stop_emptying(flow)
  end
  if has_links and (flow.ruled or least ~= 'links') then
    load_dependencies(flow, has_items)
  end
  if has_items then
    load_items(flow)
  end
end
