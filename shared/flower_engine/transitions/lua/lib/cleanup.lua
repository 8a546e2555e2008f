-- Cleanup: tasks that a cancel and the timeout of a flow spare, and that run then; see folding/cleanup.py.
--
-- While nothing else is left of a flow it is ending (flag e, E or g): the timer of the flow is that of its
-- cleanup then. When it fires, or the flow is cancelled again, it ends.
-- needs: base, child_windows, edges, emptying, engine_time, events, flow_fields, flows, kept_results, keys
-- needs: next_rounds, places, ready, statuses, timers, tree_notes, whole_flow, whole_reading, whole_rules
local DEFAULT_CLEANUP_MS = 3600000

local function is_ending(flow) return string.find(flow.flags, ENDING) ~= nil end

-- The tasks of a whole flow with rules that are spared: {[task] = true}.
local function spared_tasks(flow)
  local by = rules_of_edges()
  local spared, stack, left = {}, {}, nil
  local function spare(task)
    if not spared[task] then
      spared[task] = true
      stack[#stack + 1] = task
    end
  end
  -- Counts so many more edges to those behind a task; a map waits for its items, and follows not from them.
  local function count_behind(task, by_so_many)
    for _, dependent in ipairs(tasks_behind(flow.tasks[task])) do
      local items = flow.tasks[dependent].items
      if not items or task < items.first or task > items.last then
        left[dependent] = (left[dependent] or 0) + by_so_many
        if left[dependent] == 0 then
          spare(dependent)
        end
      end
    end
  end
  local rules_before, is_cleanup = nil, false
  for task = 1, flow.count do
    local rules = flow.tasks[task].rules
    if rules ~= rules_before then
      rules_before, is_cleanup = rules, by.cleans_up(rules)
    end
    if is_cleanup then
      spare(task)
    end
  end
  while #stack > 0 do
    local task = table.remove(stack)
    local items = flow.tasks[task].items
    for item = items and items.first or 1, items and items.last or 0 do
      spare(item)
    end
    if flow.tasks[task].dependents then
      if not left then -- in most flows nothing is behind what cleans up
        left = {}
        for before = 1, flow.count do
          count_behind(before, 1)
        end
      end
      count_behind(task, -1)
    end
  end
  return spared
end

-- Whether an end may leave something of a whole flow, which its tasks tell without who is behind them.
local function may_spare(flow)
  local tasks, ruled, rules_before = flow.tasks, flow.ruled, nil
  for task = 1, is_ending(flow) and 0 or flow.count do
    local known = tasks[task]
    if known.lease == WITH_CHILD then
      return true
    elseif ruled and known.rules ~= rules_before then
      rules_before = known.rules
      if rules_of_edges().cleans_up(rules_before) then
        return true
      end
    end
  end
  return false
end

-- The tasks of a whole flow that its end would spare now; nil: it ends without a cleanup, as nothing of it
-- has begun, its cleanup is done, or it is ending already.
local function cleanup_of(flow)
  if not flow.ruled or is_ending(flow) then
    return nil
  end
  local task, has_begun = 1, false
  while task <= flow.count and not has_begun do
    task, has_begun = task + 1, flow.tasks[task].attempt ~= '0'
  end
  local spared = has_begun and spared_tasks(flow) or {}
  spared[tonumber(asker_of(flow) or 0)] = nil -- it is done
  for one in pairs(spared) do
    if not is_final(flow.tasks[one]) then
      return spared
    end
  end
  return nil
end

-- What these tasks read is read by them no more.
local function stop_reading(flow, tasks)
  local producers, texts = {}, {}
  for index = 1, #tasks do
    local reads = flow.tasks[tasks[index]].reads
    for _, producer in ipairs(reads and tasks_read(reads) or {}) do
      producers[#producers + 1] = producer
      texts[producer] = true
    end
  end
  local each = {}
  for producer in pairs(texts) do
    each[#each + 1] = producer
  end
  read_uses(flow, each, {})
  for _, producer in ipairs(producers) do
    count_reader(flow, producer, -1)
  end
end

-- The tasks of a whole flow, but the spared ones, whose children are under way, {[task] = true}; nil: there
-- are none, or the flow is ending already. None of them awaits its child any more.
local function parents_left(flow, spared)
  local found = nil
  for task = 1, is_ending(flow) and 0 or flow.count do
    local known = flow.tasks[task]
    if known.lease == WITH_CHILD and not is_final(known) and not (spared and spared[task]) then
      local id, text = flow.id, digits(task)
      local child = child_under_way(id, text, known.attempt)
      call('ZREM', tree_key(), id .. ':' .. text, id .. ':' .. text .. '?')
      if child then
        note_tree(child .. ':0')
        found = found or {}
        found[task] = true
      end
      leave_window(flow, text, known.attempt)
      known.lease = NO_LEASE
    end
  end
  return found
end

-- Reads a flow that is to end: what that spares, see cleanup_of, and who waits for children, see
-- parents_left.
local function read_cleanup(flow)
  load_whole(flow, 'places')
  if not may_spare(flow) then
    return nil, nil
  end
  load_links(flow)
  local spared = cleanup_of(flow)
  return spared, parents_left(flow, spared)
end

-- These tasks of a whole flow wait for the end of their children alone, until then: lists of those that
-- awaited them, and of those that were held for them.
local function await_ends(flow, parents, until_ms)
  local awaiting, held = {}, {}
  for task = 1, parents and flow.count or 0 do
    local known, text = flow.tasks[task], digits(task)
    if parents[task] then
      local list = known.status == SUSPEND and held or awaiting
      list[#list + 1] = text
      if flow.ruled and known.status == SUSPEND then
        drop_timer(hold_timer(flow.id, text))
      end
      known.status, known.lease = WAIT, '~flow ' .. until_ms
      set_state(flow, text, WAIT, known.attempt, known.lost, known.lease)
    end
  end
  return listed('children', awaiting) .. listed('held_children', held)
end

-- The event, of lists of tasks by where they stood. `fields`: JSON that begins with a comma.
local function append_ending(flow, fields, lists, given_up)
  append('{"type":"flow.ending' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. fields
    .. listed('waiting', lists[WAIT]) .. listed('running', lists[RUNNING])
    .. listed('suspended', lists[SUSPEND]) .. listed('given_up', given_up)
    .. (flow.left == 0 and ',"ends":true}' or '}'))
end

-- Ends every task of a whole flow that has not ended, but for those of `spared` and `parents`: what is held
-- is given up where `gives_up` says so, all else becomes Ignore. Returns lists of them by where they stood,
-- those that are given up, and all of them. `ready`: which may be in a lane, as find_ready has it; nil: any.
-- Where nothing is left the flow ends, and what becomes of each of its tasks is noted nowhere.
local function end_tasks(flow, spared, gives_up, ready, parents)
  local lists, given_up, all = { [WAIT] = {}, [RUNNING] = {}, [SUSPEND] = {} }, {}, {}
  local change, set_free, take_out, tasks = become, set_free_state, unplace, flow.tasks
  local waiting, waits, ended, numbers = lists[WAIT], 0, 0, digits_of
  local ends_flow = next(spared) == nil and not parents
  local in_lanes, lane_before, of_lane, holds = {}, nil, nil, {} -- what is in a lane, by that
  local own_of, names, written, at = next, names_of(flow, state_field('')), {}, 0
  local alike, meta, cut_off_state = nil, nil, nil
  for task = 1, flow.count do
    local known = tasks[task]
    local status = known.status
    if not spared[task] and not (parents and parents[task]) and not is_closed(status)
      and known.kind ~= GIVEN_UP then
      local text = numbers[task] or digits(task)
      if status == WAIT then
        waits = waits + 1
        waiting[waits] = text
        if known.lease ~= NO_LEASE then
          take_out(flow, text, known)
        elseif not ready or ready[task] then
          if known.lane ~= lane_before then
            lane_before = known.lane
            of_lane = in_lanes[lane_before] or {}
            in_lanes[lane_before] = of_lane
          end
          of_lane[#of_lane + 1] = text
        end
      elseif status == RUNNING then
        end_lease(flow, text, known)
      else
        if flow.ruled then
          holds[#holds + 1] = hold_timer(flow.id, text)
        end
        leave_held(flow, text, known)
      end
      local is_given_up = gives_up and status == SUSPEND
      if status ~= WAIT then
        local list = is_given_up and given_up or lists[status]
        list[#list + 1] = text
      end
      ended = ended + 1
      all[ended] = task
      local own = not ends_flow and own_of(known)
      if is_given_up and not ends_flow then
        known.lease, known.kind = NO_LEASE, GIVEN_UP
        set_free(flow, text, GIVEN_UP_STATE, known)
      elseif own and (own ~= 'lease' or own_of(known, own) ~= nil) then
        change(known, to_be_cut_off)
        set_free(flow, text, CUT_OFF_STATE, known)
      elseif not ends_flow then -- as most are: what becomes of them is the same
        if known.alike ~= alike then
          alike = known.alike
          meta = changed_alike(alike, to_be_cut_off).meta
          cut_off_state = CUT_OFF_STATE .. ' ' .. known.attempt .. ' ' .. known.lost .. ' ' .. NO_LEASE
        end
        setmetatable(known, meta)
        known.lease = nil
        local name = names[task]
        if flow[name] then
          set(flow, name, cut_off_state)
        else
          written[at + 1], written[at + 2] = name, cut_off_state
          at = at + 2
        end
      end
    end
  end
  write_many(flow, written, at)
  for lane, texts in pairs(in_lanes) do
    pull_many(lane, flow, texts)
  end
  if #holds > 0 then
    call_chunked('ZREM', timers_key(), holds, CHUNK)
  end
  count_ends(flow, all, ended)
  if #given_up > 0 then
    set_flag(flow, HAS_GIVEN_UP, true)
  end
  return lists, given_up, all
end

-- A whole flow is ending from here on: all but what is spared has ended, and that goes on. `flag`: why;
-- `said`: fields of the event, JSON that begins with a comma; `parents`: see parents_left. Returns the tasks
-- that were cut off.
local function begin_cleanup(flow, spared, flag, said, parents)
  local ready, in_lane = flow.is_emptied and {} or find_ready(flow), {}
  for task in pairs(spared) do
    local is_unreleased = flow.held or (flow.unreleased and flow.unreleased[task])
    in_lane[task] = ready[task] and flow.tasks[task].lease == NO_LEASE and not is_unreleased
  end
  flow.unreleased = nil
  local lists, given_up, all = end_tasks(flow, spared, flag ~= ENDING_BY_CANCEL, ready, parents)
  if flow.kept then
    stop_reading(flow, all)
  end
  local most = tonumber(call('HGET', flow.key, CLEANUP) or DEFAULT_CLEANUP_MS)
  local until_ms = string.format('%d', now + most)
  append_ending(flow, said .. ',"until_ms":' .. until_ms .. await_ends(flow, parents, until_ms), lists,
    given_up)
  set_flag(flow, PAUSED, false)
  set_flag(flow, EMPTYING, false)
  set_flag(flow, flag, true)
  if has_flag(flow, WITHOUT_PLACE) then
    call('ZREM', new_flows_key(lane_of_flow(flow).workflow), flow.id)
    set_flag(flow, WITHOUT_PLACE, false)
    set_flag(flow, GAVE_PLACE_BACK, true)
  end
  if has_flag(flow, GAVE_PLACE_BACK) then
    seek_place(flow)
  end
  set_timeout(flow_timer(flow.id), most)
  if flow.ruled then
    redecide(flow, in_lane)
  else
    count_active(flow)
  end
  return all
end

-- The cleanup of a whole flow is over, done or not: what has not ended has now. Its failures are appended.
local function end_cleanup(flow)
  local lists, given_up = end_tasks(flow, {}, true)
  append_ending(flow, ',"cause":"timeout","by":"timeout"', lists, given_up)
end

-- The round of a flow is over, as this task asked for another one: it ends as by a cancel, but that
-- what is held is given up, and so is still seen.
local function end_round(flow, asker)
  local said = ',"cause":"again","by":"again","reason":"task ' .. asker
    .. ' asked for another round of the flow"'
  local lists, given_up = nil, nil
  if flow.is_emptied and not flow.cleans_up then
    lists, given_up = end_emptied(flow)
  end
  if not lists then
    local spared, parents = read_cleanup(flow)
    if spared or parents then
      begin_cleanup(flow, spared or {}, ENDING_BY_AGAIN, said, parents)
      return
    end
    lists, given_up = end_tasks(flow, {}, true, flow.is_emptied and {})
  end
  append_ending(flow, said, lists, given_up)
end
