-- A flow as a whole: what operations that concern all of it, or tasks before and behind each other, stand on.
-- rarely used
-- needs: awaiting, base, edges, flow_fields, flows, items, keys, limits, next_rounds, ready, statuses
-- needs: suspects, timers, tree_notes, whole_reading

local function is_closed(status) return status == FINISH or status == IGNORE end
local function is_final(known) return is_closed(known.status) or known.kind == GIVEN_UP end

-- Of a flow without rules, in which no rule passes over it, one of these tasks that is behind one which stays
-- given up, and that one; nil: there is none. What is to be expanded anew (`anew`: {[map] = true}) is behind
-- no items.
local function behind_given_up(flow, again, anew)
  if flow.ruled or not has_flag(flow, HAS_GIVEN_UP) then
    return nil
  end
  for task = 1, flow.count do
    local known = flow.tasks[task]
    if known.kind == GIVEN_UP and not again[task] then
      for _, number in ipairs(tasks_behind(known)) do
        if again[number] and not (anew and anew[number]) then
          return digits(number), digits(task)
        end
      end
    end
  end
  return nil
end

local function is_retrying(known) return known.status == WAIT and sub(known.lease, 1, 1) == '@' end

-- Whether it waits elsewhere than in a lane: for the time of its retry, or for the world.
local function is_away(known) return known.status == WAIT and known.lease ~= NO_LEASE end

-- Whether it awaits its child, or the end of that, whatever becomes of those before it: they may have been
-- opened again while it was held for the child.
local function awaits_flow(known) return is_away(known) and sub(known.lease, 1, 6) == '~flow ' end

-- The same as find_ready, by what the tasks have heard so far.
local function find_ready_by_rules(flow)
  local by, tasks = rules_of_edges(), flow.tasks
  local ready, has_dependencies = {}, count_dependencies(flow)
  for task = 1, flow.count do
    local known = tasks[task]
    if known.status ~= WAIT then
      ready[task] = false
    elseif not has_dependencies[task] or awaits_flow(known) then
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
  local open, ready, tasks = count_dependencies(flow, true), {}, flow.tasks
  for task = 1, flow.count do
    if tasks[task].status == WAIT and (not open[task] or awaits_flow(tasks[task])) then
      ready[task] = true
    end
  end
  return ready
end

-- Pushes every task of a whole flow that waits for nothing (and not for the time of its retry).
local function push_ready(flow)
  local ready, tasks, by_lane, lane_before, of_lane = find_ready(flow), flow.tasks, {}, nil, nil
  for task = 1, flow.count do
    local known = tasks[task]
    if ready[task] and known.lease == NO_LEASE then
      local lane = known.lane
      if lane ~= lane_before then
        lane_before, of_lane = lane, by_lane[lane] or {}
        by_lane[lane] = of_lane
      end
      of_lane[#of_lane + 1] = task
    end
  end
  for lane, numbers in pairs(by_lane) do
    push_many(lane, flow, numbers)
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

-- A task of a whole flow has another status, and no lease; most that have then say the same.
local free_states = {}
local function set_free_state(flow, text, status, known)
  local states, attempt, lost = free_states[status], known.attempt, known.lost
  if not states then
    states = {}
    free_states[status] = states
  end
  local state = lost == '0' and states[attempt]
  if not state then
    state = status .. ' ' .. attempt .. ' ' .. lost .. ' ' .. NO_LEASE
    states[attempt] = lost == '0' and state or nil
  end
  set(flow, state_field(text), state)
end

-- Makes tasks of a whole flow ({[task] = true}) wait from the start again, whatever they are (but running);
-- what waits behind them waits for them again, which of a flow with rules is to be decided then
-- (whole_rules.lua). (`moved`: it has left its lane; `retimed`: it stays there, and its time to wait begins
-- anew, by another policy.) Returns which tasks are in their lanes still, but for the moved ones.
local function reopen(flow, again)
  local before, in_lanes, leases = find_ready(flow), {}, {}
  local forgotten, holds, are_plain, has_rounds = {}, {}, {}, call('HEXISTS', flow.key, ROUNDS) == 1
  -- What reopening does with a task that has nothing of its own but its lease, beside all that are like it:
  -- worked out once for all of them. False: it is one of those with which there is more to do.
  local function usual_of(alike, known)
    local status = known.status
    alike.reopening = is_plain_lane(known.lane) and { ends_no_more = is_final(known) and 1 or 0,
      waits = status == WAIT, is_held = flow.ruled and status == SUSPEND, is_finished = status == FINISH,
      may_have_failures = may_have_failures(known), meta = changed_alike(alike, to_wait_again).meta,
      state = WAIT .. ' ' .. known.attempt .. ' 0 ' .. NO_LEASE } or false
    return alike.reopening
  end

  local asker, tasks, written, at, reopened = asker_of(flow), flow.tasks, {}, 0, 0
  local names = names_of(flow, state_field(''))
  local n, own_of, numbers = 0, next, digits_of -- n: of what is forgotten
  local alike_before, usual, defined, steps = nil, nil, flow.steps and flow.defined or 0, 0
  for task = 1, flow.count do
    local known = again[task] and tasks[task]
    local text, is_so = known and (numbers[task] or digits(task)), false
    local own = known and own_of(known)
    if known and text ~= asker and (not own or (own == 'lease' and own_of(known, own) == nil)) then
      local alike, lease = known.alike, known.lease
      if alike ~= alike_before then
        alike_before, usual = alike, alike.reopening
        if usual == nil then
          usual = usual_of(alike, known)
        end
      end
      is_so = usual and lease ~= WITH_CHILD and not (usual.waits and lease ~= NO_LEASE)
    end
    if is_so then
      reopened = reopened + usual.ends_no_more
      if task <= defined then
        steps = steps + usual.ends_no_more
      end
      if usual.is_held then
        holds[#holds + 1] = hold_timer(flow.id, text)
      elseif usual.is_finished then
        n = n + 1
        forgotten[n] = progress_field(text)
      end
      if usual.may_have_failures then
        n = n + 1
        forgotten[n] = failures_field(text)
      end
      if has_rounds then
        n = n + 1
        forgotten[n] = round_field(text)
      end
      setmetatable(known, usual.meta)
      known.lease = nil
      local name = names[task]
      if flow[name] then
        set(flow, name, usual.state)
      else
        written[at + 1], written[at + 2] = name, usual.state
        at = at + 2
      end
    elseif known then
      local status, lane = known.status, known.lane
      leases[task] = known.lease
      if is_final(known) then
        count_end(flow, task, -1)
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
        n = n + 1
        forgotten[n] = progress_field(text)
      end
      if asker == text then
        forget_asker(flow, text)
      end
      if may_have_failures(known) then
        n = n + 1
        forgotten[n] = failures_field(text)
      end
      if has_rounds then
        n = n + 1
        forgotten[n] = round_field(text)
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
      if known.edges and match(known.edges, '!') then -- it has not begun any more
        known.edges = string.gsub(known.edges, '!', '')
        set(flow, edges_field(text), known.edges)
      end
      if known.keeps_child then
        known.lease = WITH_CHILD
        set_state(flow, text, WAIT, known.attempt, '0', known.lease)
      else
        set_free_state(flow, text, WAIT, known)
      end
    end
  end
  write_many(flow, written, at)
  flow.left, flow.done = flow.left + reopened, flow.done - reopened
  flow.steps = flow.steps and flow.steps - steps
  if n > 0 then
    call_chunked('HDEL', flow.key, forgotten, CHUNK)
  end
  if #holds > 0 then
    call_chunked('ZREM', timers_key(), holds, CHUNK)
  end
  if not flow.ruled and has_flag(flow, HAS_GIVEN_UP) then
    local has_given_up = false
    for task = 1, flow.count do
      has_given_up = has_given_up or flow.tasks[task].kind == GIVEN_UP
    end
    set_flag(flow, HAS_GIVEN_UP, has_given_up)
  end
  local after = not flow.ruled and count_dependencies(flow, true)
  local ruled, unreleased, by_lane, lane_before, of_lane = flow.ruled, flow.unreleased, {}, nil, nil
  for task = 1, flow.count do
    local known, status = tasks[task], tasks[task].status
    local in_lane = before[task] and (leases[task] or known.lease) == NO_LEASE
      and not (unreleased and unreleased[task]) and not known.moved
    local open = not ruled and after[task] or 0
    if ruled then
      in_lanes[task] = in_lane
    elseif known.open and tonumber(known.open) ~= open then
      set(flow, open_field(digits(task)), digits(open))
    end
    if not ruled and status == WAIT then
      local text = numbers[task] or digits(task)
      if open > 0 then
        if in_lane or is_away(known) then
          unplace(flow, text, known)
          if is_away(known) then
            set_state(flow, text, WAIT, known.attempt, known.lost, NO_LEASE)
          end
        end
      elseif not in_lane and known.lease == NO_LEASE then
        local lane = known.lane
        if lane ~= lane_before then
          lane_before, of_lane = lane, by_lane[lane] or {}
          by_lane[lane] = of_lane
        end
        of_lane[#of_lane + 1] = task
      elseif in_lane and known.retimed and flow.timed and not flow.held then
        drop_timer(queue_timer(flow.id, text))
        start_queue_timer(flow, text)
      end
    end
  end
  for lane, coming in pairs(by_lane) do
    push_many(lane, flow, coming)
  end
  restart_flow_timer(flow)
  return in_lanes
end
