-- Rules of a whole flow: how all of its tasks stand is counted anew from their statuses, and whatever follows
-- from that is done. Needed where an operation changes tasks that others have heard of already.
-- needs: awaiting, base, edges, fanout_notes, flow_fields, flows, kept_results, places, ready, rules
-- needs: statuses, timers, whole_flow, whole_notes, whole_reading

-- Takes the flow's notes off the list: what they had still to tell is counted anew.
local function take_notes(flow)
  drop_notes(function(note)
    return sub(note, 1, 36) == flow.id
  end)
end

-- Whether a rule has passed over a task, or its decision.
local function is_not_taken(known)
  return known.kind == NOT_TAKEN or known.kind == UNMET
end

-- How a task stands for those behind it; nil: it waits or runs.
local function kind_of(known)
  if known.status == FINISH then
    return known.kind == 't' and 'y' or known.kind == 'f' and 'z' or 'f'
  elseif known.status == SUSPEND then
    return known.kind or 's'
  elseif known.status == IGNORE then
    return (is_not_taken(known) or known.kind == UNNEEDED) and 'n' or known.kind == 'p' and 'p' or 'o'
  end
  return nil
end

-- The edges of every task as the statuses have them: {counts as edges_of has them; left: how many have not
-- ended; cause: one that has}. `without_past`: but for what was cut off, which stays so in an ending flow.
-- Second those that all tasks share to which nobody leads.
local function count_edges(flow, without_past)
  local by, tasks, behind_of = rules_of_edges(), flow.tasks, tasks_behind
  local all, none = {}, by.no_edges('')
  for task = 1, flow.count do
    local known = tasks[task]
    if not (without_past and known.kind == CUT_OFF) then
      local is_told = known.edges or known.open or known.branch
      all[task] = is_told and by.no_edges(known.branch and 'u' or '') or none
    end
  end

  -- The edges of a task behind others, which it shares with nobody from here on; nil: it has none.
  local function own_edges(number)
    local edges = all[number]
    if edges == none then
      edges = by.no_edges(tasks[number].branch and 'u' or '')
      all[number] = edges
    end
    return edges
  end

  local function count_one(task, known, kind)
    local text = digits(task)
    for _, number in ipairs(behind_of(known)) do
      local edges, behind = own_edges(number), tasks[number]
      if edges and (not kind or kind == 's') then
        edges.left = edges.left + 1
      elseif edges then
        edges.cause = text
      end
      if edges and kind and (kind ~= 's' or behind.rule == 'failed') then
        local is_item = behind.items and behind.items.first <= task and task <= behind.items.last
        local is_gate = by.add(edges, kind, 1, behind.branch, not is_item and behind.reads, text)
        if not is_gate and by.is_picked(behind.rule, kind) then
          by.pick(edges, behind.rule, behind.most, text)
        end
      end
    end
  end

  -- Tasks that follow each other and stand alike before one and the same, as items of a map do, are counted
  -- together, where it is nothing to that which of them they are: `run`.
  local run = { text = false, count = 0 }
  local function end_run()
    local edges, kind = own_edges(run.number), run.kind
    if edges and (not kind or kind == 's') then
      edges.left = edges.left + run.count
    elseif edges then
      edges.cause = digits(run.last)
      by.add(edges, kind, run.count, nil, false, edges.cause)
    end
    run.text, run.count = false, 0
  end
  local function begin_run(task, text, kind)
    local number = tonumber(text)
    local behind = number and tasks[number]
    if not behind or behind.branch or behind.rule == 'failed' or behind.rule == 'at_least' then
      return false
    end
    run.last_one = flow.count
    if behind.reads then
      local items = behind.items
      if not items or task < items.first or task > items.last then
        return false
      end
      run.last_one = items.last
    end
    run.text, run.kind, run.count, run.number, run.last = text, kind, 1, number, task
    return true
  end

  local status_before, of_kind, stands = nil, nil, nil
  for task = 1, flow.count do
    local known = tasks[task]
    local text = known.dependents
    if text then
      local status, kind = known.status, known.kind
      if status ~= status_before or kind ~= of_kind then
        status_before, of_kind, stands = status, kind, kind_of(known)
      end
      if text == run.text and stands == run.kind and task <= run.last_one then
        run.count, run.last = run.count + 1, task
      else
        if run.text then
          end_run()
        end
        if not begin_run(task, text, stands) then
          count_one(task, known, stands)
        end
      end
    end
  end
  if run.text then
    end_run()
  end
  return all, none
end

-- Tasks of the flow have other rules from here on, if it had any before.
local function begin_rules(flow)
  -- Whom each task waits for by its definition is kept, as joins of the flow cancel others from here on.
  local function note_befores()
    local by, cancels = rules_of_edges(), false
    for task = 1, flow.count do
      cancels = cancels or by.cancels(flow.tasks[task].rules)
    end
    local befores = {}
    for task = 1, cancels and not has_flag(flow, CANCELS_OTHERS) and flow.count or 0 do
      for _, number in ipairs(tasks_behind(flow.tasks[task])) do
        local items = flow.tasks[number].items
        if not items or task < items.first or task > items.last then
          befores[number] = (befores[number] and befores[number] .. ',' or '') .. digits(task)
        end
      end
    end
    for task, before in pairs(befores) do
      set(flow, before_field(digits(task)), before)
    end
    if cancels ~= has_flag(flow, CANCELS_OTHERS) then
      set_flag(flow, CANCELS_OTHERS, cancels)
    end
  end

  if not flow.ruled then
    set_flag(flow, HAS_RULES, true)
    flow.ruled = true
    for task = 1, flow.count do
      give_rules(flow.tasks[task], flow.tasks[task].rules)
    end
    for task = 1, flow.kept and flow.count or 0 do
      local known, text = flow.tasks[task], digits(task)
      read_uses(flow, { text }, {})
      local _, bytes = use_of(flow, text)
      if known.status == IGNORE and bytes > 0 then -- somebody gave a result
        known.kind = 'p'
        set_state(flow, text, WITH_RESULT_STATE, known.attempt, known.lost, NO_LEASE)
      end
    end
    local all = count_edges(flow)
    for task = 1, flow.count do
      flow.tasks[task].edges = rules_of_edges().text(all[task])
      set(flow, edges_field(digits(task)), flow.tasks[task].edges)
    end
  end
  note_befores()
  local watchers = {}
  for task = 1, flow.count do
    for dependent in string.gmatch(flow.tasks[task].dependents or '', '%d+') do
      if rules_of_edges().rule_in(flow.tasks[tonumber(dependent)].rules) == 'failed' then
        watchers[task] = (watchers[task] and watchers[task] .. ',' or '') .. dependent
      end
    end
    set(flow, watchers_field(digits(task)), watchers[task] or '')
  end
end

-- Whether a task (`known`) that has begun did so with this dependency: with any, unless its rule picks some;
-- with the decision whose branch it is in any case.
local function uses(known, task)
  local used = known.edges and match(known.edges, '!([%d,]+)$')
  if not used or string.find(',' .. used .. ',', ',' .. digits(task) .. ',', 1, true) then
    return true
  end
  return rules_of_edges().is_branch_of(known.rules, task)
end

-- What a task that waits began with, "!2,3", if nothing of that has been opened since; or nil.
local function still_used(flow, known)
  local used = known.edges and match(known.edges, '![%d,]+$')
  if used and known.status == WAIT and not awaits_flow(known) then
    for task in string.gmatch(used, '%d+') do
      if not kind_of(flow.tasks[tonumber(task)]) then
        return nil
      end
    end
  end
  return used
end

-- What waits again because tasks are opened ({[task] = true}), beside these: what rules had passed over
-- because of them, and what began because they failed. Calls `add` with each that is found; returns the edges
-- of all then.
local function open_behind(flow, opened, add)
  local by = rules_of_edges()
  local all, left = count_edges(flow), {}
  local is_open = {}
  for task = 1, flow.count do
    if opened[task] then
      left[#left + 1] = task
    end
  end
  while #left > 0 do
    local task = table.remove(left)
    local known = flow.tasks[task]
    local kind = kind_of(known)
    if kind and not is_open[task] then
      is_open[task] = true
      local text = digits(task)
      for _, number in ipairs(tasks_behind(known)) do
        local edges, behind = all[number], flow.tasks[number]
        if kind ~= 's' or behind.rule == 'failed' then
          by.add(edges, kind, -1, behind.branch, behind.reads, text)
        end
        if kind ~= 's' then
          edges.left = edges.left + 1
        end
        local is_over = is_not_taken(behind)
          and by.decide(behind.rule, behind.most, edges, edges.left) ~= PASSES
        local began = behind.rule == 'failed' and (kind == 's' or kind == GIVEN_UP)
          and (behind.status == FINISH or behind.status == SUSPEND) and uses(behind, task)
        if not opened[number] and (is_over or began) then
          add(number)
          opened[number] = true
          left[#left + 1] = number
        end
      end
    end
  end
  return all
end

-- What nobody needs of a whole flow.
local function by_need()
  -- What a task that has begun did so with, ",2,3,", as far as it holds when these are open; nil: all, or it
  -- has not begun then.
  local function still_begun_with(flow, known, opened)
    local used = known.edges and match(known.edges, '!([%d,]+)$')
    for before in string.gmatch(used and opened and known.status == WAIT and used or '', '%d+') do
      if opened[tonumber(before)] then
        return nil
      end
    end
    return used and ',' .. used .. ','
  end

  -- A function that says of a task of a whole flow which of those behind it has enough and cancels others, if
  -- all that are behind it have ended, or have enough; else nil. `all`: the edges of all tasks; `opened`:
  -- {[task] = true} of those that are about to wait again.
  local function enough_behind(flow, all, opened)
    local by = rules_of_edges()
    -- "enough", "ended", or false, as unneeded.lua has it
    local function release_of(task, before)
      local known, edges = flow.tasks[task], all[task]
      local is_open = opened and opened[task]
      local used = not is_open and still_begun_with(flow, known, opened)
      if known.kind == UNNEEDED and not is_open then
        return 'enough'
      elseif used and string.find(used, ',' .. digits(before) .. ',', 1, true) then
        return is_final(known) and 'ended' -- it began with this one, which runs again
      end
      if (known.status ~= IGNORE or is_open) and edges and by.cancels(known.rules)
        and (used
          or by.decide(known.rule, known.most, edges, edges.left) == STARTS) then
        return 'enough'
      end
      return is_final(known) and not is_open and 'ended'
    end

    return function(task)
      local enough = nil
      for _, number in ipairs(tasks_behind(flow.tasks[task])) do
        local found = release_of(number, task)
        if not found then
          return nil
        end
        enough = enough or found == 'enough' and number or nil
      end
      return enough
    end
  end

  -- Of tasks that are to wait again ({[task] = true}) one that nobody would need, and the join that has
  -- enough without it; nil: there is none.
  local function not_needed_again(flow, again)
    if not has_flag(flow, CANCELS_OTHERS) then
      return nil
    end
    local by, opened = rules_of_edges(), {}
    for task in pairs(again) do
      opened[task] = true
    end
    local enough_for = enough_behind(flow, open_behind(flow, opened, digits), again)
    for task = 1, flow.count do
      local join = again[task] and not by.cleans_up(flow.tasks[task].rules) and enough_for(task)
      if join then
        return digits(task), digits(join)
      end
    end
    return nil
  end

  -- The joins which cancelled what they alone needed, and have not enough any more, as tasks are opened;
  -- `edges`: those of all then.
  local function joins_in_need(flow, opened, edges)
    local by, all, found = rules_of_edges(), count_edges(flow), {}
    for task = 1, flow.count do
      local known = flow.tasks[task]
      if known.status == WAIT and not opened[task] and by.cancels(known.rules)
        and not still_begun_with(flow, known, opened)
        and (still_begun_with(flow, known)
          or by.decide(known.rule, known.most, all[task], all[task].left) == STARTS)
        and by.decide(known.rule, known.most, edges[task], edges[task].left) ~= STARTS then
        found[#found + 1] = task
      end
    end
    return found
  end

  -- What was cancelled as nobody needed it, and is needed again, as tasks are opened ({[task] = true}) that
  -- joins had counted on. It is opened, too, if `may_open` has it (nil: whatever it is), and `add` is called
  -- with each. Whether there was any.
  local function open_needed(flow, opened, may_open, add)
    local cancelled_before, is_any = {}, false -- by task: which before it are cancelled
    for task = 1, has_flag(flow, CANCELS_OTHERS) and flow.count or 0 do
      if flow.tasks[task].kind == UNNEEDED and not opened[task] and (not may_open or may_open[task]) then
        is_any = true
        for _, behind in ipairs(tasks_behind(flow.tasks[task])) do
          cancelled_before[behind] = cancelled_before[behind] or {}
          table.insert(cancelled_before[behind], task)
        end
      end
    end
    if not is_any then
      return false
    end
    local by, all_opened, was_found = rules_of_edges(), {}, false
    for task in pairs(opened) do
      all_opened[task] = true
    end
    local edges = open_behind(flow, all_opened, digits)
    local left = joins_in_need(flow, opened, edges)
    while #left > 0 do
      for _, task in ipairs(cancelled_before[table.remove(left)] or {}) do
        if not opened[task] then
          opened[task], was_found = true, true
          add(task)
          local known = flow.tasks[task]
          if not (by.cancels(known.rules)
            and by.decide(known.rule, known.most, edges[task], edges[task].left) == STARTS) then
            left[#left + 1] = task
          end
        end
      end
    end
    return was_found
  end

  -- Where nobody needs what is before a task any more, as all of them stand (`all`: their edges), that is to
  -- be looked at.
  local function note_all_unneeded(flow, all)
    local by, done, enough_for = rules_of_edges(), {}, enough_behind(flow, all)
    local function note(task, kind)
      if not done[kind .. task] then
        done[kind .. task] = true
        note_fanout(flow.id, digits(task), kind)
        change_active(flow, 1)
      end
    end
    for task = flow.count, 1, -1 do
      local known = flow.tasks[task]
      if known.items and known.kind == UNNEEDED then
        note(task, 'C')
      elseif not is_final(known) and not by.cleans_up(known.rules) then
        local join = enough_for(task)
        if join then
          note(join, 'c')
        end
      end
    end
  end

  return { not_needed_again = not_needed_again, open_needed = open_needed, note_all = note_all_unneeded }
end

-- Counts everything anew, and does what follows: what may start goes to its lane, what may not leaves it,
-- what rules pass over is passed over. in_lane[task]: it is in its lane (known.moved: and has left it).
local function redecide(flow, in_lane)
  local by = rules_of_edges()
  take_notes(flow)
  local all, none = count_edges(flow, string.find(flow.flags, ENDING))
  local groups, causes, has_given_up, leaving = {}, {}, false, {}
  local tasks, numbers = flow.tasks, digits_of
  for task = 1, flow.count do
    local known, edges, text = tasks[task], all[task], numbers[task] or digits(task)
    has_given_up = has_given_up or known.kind == GIVEN_UP
    if edges and edges ~= none then
      edges.used = still_used(flow, known) or edges.used
      local has_some = known.edges or edges.cause or edges.left > 0 or edges.gate ~= ''
      local told = has_some and by.text(edges)
      if told and told ~= (known.edges or NO_EDGES) then
        set(flow, edges_field(text), told)
        known.edges = told
      end
      if known.open and tonumber(known.open) ~= edges.left then
        known.open = digits(edges.left)
        set(flow, open_field(text), known.open)
      end
    end
    if known.status == WAIT and not awaits_flow(known) then
      local decision = match(edges.used, BEGUN) and STARTS
        or by.decide(known.rule, known.most, edges, edges.left)
      if decision == STARTS then
        if not (in_lane[task] and not known.moved) and not is_away(known) then
          push(known.lane, flow, text)
        elseif in_lane[task] and known.retimed and flow.timed and not flow.held then
          drop_timer(queue_timer(flow.id, text))
          start_queue_timer(flow, text)
        end
      else
        if is_away(known) then
          if is_retrying(known) then
            drop_timer(retry_timer(flow.id, text))
          else
            stop_awaiting(flow, text, known.lease)
          end
          known.lease = NO_LEASE
          set_state(flow, text, WAIT, known.attempt, known.lost, NO_LEASE)
        elseif in_lane[task] and not known.moved then
          leaving[#leaving + 1] = task
        end
        if decision == PASSES then
          local group = groups[edges.cause]
          if not group then
            group = {}
            groups[edges.cause], causes[#causes + 1] = group, edges.cause
          end
          group[#group + 1] = task
        end
      end
    end
  end
  if has_flag(flow, HAS_GIVEN_UP) ~= has_given_up then
    set_flag(flow, HAS_GIVEN_UP, has_given_up)
  end
  count_active(flow)
  if has_flag(flow, CANCELS_OTHERS) then
    by_need().note_all(flow, all)
  end
  for _, cause in ipairs(causes) do
    for _, task in ipairs(groups[cause]) do
      local known, text = flow.tasks[task], digits(task)
      local state = flow[state_field(text)]
        or WAIT .. ' ' .. known.attempt .. ' ' .. known.lost .. ' ' .. known.lease
      if match(state, STATE) == WAIT then -- else what was passed over before has led to it
        by_rules().pass(flow, text, state, all[task].gate == 'b', all[task].left)
      end
    end
    by_rules().settle_ends(flow, cause)
  end
  for _, task in ipairs(leaving) do -- but for what may start all the same, by what was passed over since
    local known, text = tasks[task], digits(task)
    local edges = by.edges_of(flow[edges_field(text)] or known.edges)
    local open = flow[open_field(text)] or known.open
    if match(flow[state_field(text)] or WAIT, '^%d') ~= WAIT
      or by.decide(known.rule, known.most, edges, open and tonumber(open) or 1 - by.count_ended(edges))
        ~= STARTS then
      pull(known.lane, flow, text)
    end
  end
end
