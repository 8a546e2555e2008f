-- Rules of flows that have some: what is told of a task to those behind it, and what is passed over then.
--
-- Passing over goes on through whatever follows, in bounded steps: what is left is noted in "fanout".
-- needs: base, common_fields, edges, events, fanout_notes, flow_fields, flows, kept_results, keys, ready
-- needs: statuses
local RULE_STEP = 500 -- dependents that a call tells of tasks beyond those of a note
local WIDE_LINKS = 2000 -- bytes of a list of dependents that is told in steps
local WAITS_STILL = 48 -- "0", the status that a state begins with
local PASSED_OVER = 57 -- "9"
local AWAITS_FLOW = ' ~flow ' -- in a state: it awaits its child, or the end of that

-- A task has ended, or goes on without some of what is before it: that may be needed no more, and is looked
-- at (see unneeded.lua).
local function look_before(flow, task)
  if flow.ruled and flow.left > 0 and has_flag(flow, CANCELS_OTHERS) then
    note_fanout(flow.id, task, 'c')
    change_active(flow, 1) -- the note
  end
end

local function make_rules_of_flows()
  local told_in_call = 0
  local listed_notes = nil -- by what they begin with
  local picking = {} -- by the text of its field, whether a rule picks some of its dependencies
  local ended_tasks, passed_tasks, unmet_tasks = {}, {}, {} -- of the flow that is being settled

  -- A task of which its rule says that it is passed over, or its decision (`is_unmet`); settle_ends must
  -- follow. `left`: how many before it have not ended.
  local function pass(flow, task, state, is_unmet, left)
    local _, attempt, lost = match(state, STATE)
    set_state(flow, task, is_unmet and UNMET_STATE or NOT_TAKEN_STATE, attempt, lost, NO_LEASE)
    count_end(flow, task, 1)
    local passed = is_unmet and unmet_tasks or passed_tasks
    passed[#passed + 1] = tonumber(task)
    ended_tasks[#ended_tasks + 1] = { task = task, kind = 'n' }
    if left > 0 then
      look_before(flow, task)
    end
  end

  -- Tells a task what became of one of its dependencies (`of`), or of so many alike, and decides.
  local function tell_one(flow, task, of, kind, open, lane, state, message, text, rules, links, by_so_many)
    local count = by_so_many or 1
    local by = rules_of_edges()
    local open_name, edges_name, state_name = open_field(task), edges_field(task), state_field(task)
    open = flow[open_name] or open
    local edges = by.edges_of(flow[edges_name] or text or nil)
    local rule, most = by.rule_in(rules)
    local left = open and tonumber(open) or 1 - by.count_ended(edges)
    local before = by.decide(rule, most, edges, left)
    local _, reads = links_of(links)
    local is_gate = by.add(edges, kind, count, by.branch_in(rules), reads, of)
    if kind ~= 's' then
      left = left - count
      if open then
        set(flow, open_name, digits(left))
      end
      if (kind == 'X' or kind == 'N') and rule == 'failed' and not is_gate then
        edges.held = edges.held - 1
      end
    end
    if not is_gate and by.is_picked(rule, kind) then
      by.pick(edges, rule, most, of)
    end
    set(flow, edges_name, by.text(edges))
    state = flow[state_name] or state or NEVER
    flow[state_name] = state
    local status = string.byte(state)
    if before == STARTS or match(edges.used, BEGUN) or status == PASSED_OVER then
      return
    end
    local after = by.decide(rule, most, edges, left)
    if after == STARTS and by.cancels(rules) then
      look_before(flow, task)
    end
    if status ~= WAITS_STILL or string.find(state, AWAITS_FLOW, 1, true) then
      return
    elseif after == STARTS then
      flow[message_field(task)] = message
      change_active(flow, 1)
      push(lane, flow, task)
    elseif after == PASSES then
      pass(flow, task, state, edges.gate == 'b', left)
    end
  end

  local function tell_some(flow, of, kind, tasks)
    local by = rules_of_edges()
    local names = {}
    for index = 1, #tasks do
      local task, n = tasks[index], #names
      names[n + 1], names[n + 2], names[n + 3] = open_field(task), lane_field(task), state_field(task)
      names[n + 4], names[n + 5], names[n + 6] = message_field(task), edges_field(task), rules_field(task)
      names[n + 7] = by.is_without_value(kind) and flow.kept and dependents_field(task) or open_field(task)
    end
    local has_links = by.is_without_value(kind) and flow.kept
    local got = values_of(flow, names)
    told_in_call = told_in_call + #tasks
    for index = 1, #tasks do
      local at = 7 * (index - 1)
      -- What a rerun with another version has changed in this call is not written yet.
      local lane_name, message_name, rules_name, links_name = names[at + 2], names[at + 4], names[at + 6],
        names[at + 7]
      local rules = flow[rules_name]
      if rules == nil then
        rules = got[at + 6]
      end
      tell_one(flow, tasks[index], of, kind, got[at + 1], flow[lane_name] or got[at + 2], got[at + 3],
        flow[message_name] or got[at + 4], got[at + 5], rules or nil,
        has_links and (flow[links_name] or got[at + 7]) or nil)
    end
  end

  -- What is left of telling of a task is noted.
  local function tell_later(flow, task, kind)
    note_fanout(flow.id, task, kind)
    change_active(flow, 1) -- the note
  end

  -- Numbers of tasks as the event has them: "[1,3],[5,5]".
  local function ranges_of(tasks)
    table.sort(tasks)
    local ranges, first, last = {}, nil, nil
    for index = 1, #tasks + 1 do
      local task = tasks[index]
      if first and task ~= last + 1 then
        ranges[#ranges + 1] = '[' .. digits(first) .. ',' .. digits(last) .. ']'
        first = nil
      end
      first, last = first or task, task
    end
    return concat(ranges, ',')
  end

  -- The event of what was passed over since.
  local function append_passed(flow, cause)
    if #passed_tasks + #unmet_tasks == 0 then
      return
    end
    local unmet = #unmet_tasks > 0 and ',"unmet":[' .. ranges_of(unmet_tasks) .. ']' or ''
    append('{"type":"tasks.passed' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"ranges":['
      .. ranges_of(passed_tasks) .. '],"cause":' .. cause .. unmet
      .. (flow.left == 0 and ',"ends":true}' or '}'))
    passed_tasks, unmet_tasks = {}, {}
  end

  -- From where on the note of the list goes on that begins so, "<flow>:<task>:<kind>", as the first that
  -- asks in this call finds it; nil: there is none.
  local function listed_from(begin)
    if not listed_notes then
      listed_notes = {}
      local count = tonumber(call('HGET', meta_key(), 'fanout') or 0)
      for _, note in ipairs(count > 0 and call('LRANGE', fanout_key(), 0, -1) or {}) do
        local which, from = match(note, '^(.-:%d+:%a?)(%d+)$')
        listed_notes[which] = listed_notes[which] or from
      end
    end
    return listed_notes[begin]
  end

  -- Whether it is still to be told, by a note, that a task is held: that it is no more is told behind it.
  local function is_still_told(flow, ended)
    local is_of_held = ended.kind == 'X' or ended.kind == 'N'
    return is_of_held and listed_from(flow.id .. ':' .. ended.task .. ':s') ~= nil
  end

  -- Tells of tasks that have ended, and of those that are passed over because of it; then the event follows.
  -- `cause`: the task that it began with.
  local function settle_ends(flow, cause)
    local index = 1
    while index <= #ended_tasks do
      local ended = ended_tasks[index]
      index = index + 1
      local links = ended.links
      if links == nil then
        links = flow[dependents_field(ended.task)] or field_of(flow, dependents_field(ended.task))
      end
      if links and flow.left > 0 then
        local dependents, reads = links_of(links)
        if flow.kept then
          settle_data(flow, ended.task, ended.payload, dependents, reads, {})
        end
        if dependents
          and (#dependents > WIDE_LINKS or told_in_call >= RULE_STEP or is_still_told(flow, ended)) then
          tell_later(flow, ended.task, ended.kind)
        elseif dependents then
          tell_some(flow, ended.task, ended.kind, tasks_read(dependents))
        end
      end
    end
    ended_tasks = {}
    append_passed(flow, cause)
  end

  -- A task of a flow with rules has ended (its event is appended): those behind it hear of it. `payload`: its
  -- result, if the flow keeps results; `links`: see links_of.
  local function end_by_rules(flow, task, links, kind, payload)
    ended_tasks[1] = { task = task, kind = kind, links = links or false, payload = payload }
    settle_ends(flow, task)
  end

  -- A task of a flow with rules is held: those hear of it that start when it fails.
  local function tell_held(flow, task)
    local watchers = call('HGET', flow.key, watchers_field(task))
    if not watchers or watchers == '' then
      return
    elseif #watchers > WIDE_LINKS or told_in_call >= RULE_STEP then
      tell_later(flow, task, 's')
    else
      tell_some(flow, task, 's', tasks_read(watchers))
    end
  end

  -- Whether the rule of a task picks some of its dependencies.
  local function picks_some(flow, task)
    local by, name = rules_of_edges(), rules_field(task)
    local rules = flow[name]
    if rules == nil then
      rules = call('HGET', flow.key, name)
      flow[name] = rules
    end
    local is_picking = picking[rules]
    if is_picking == nil then
      is_picking = by.picks(by.rule_in(rules or nil)) > 0
      picking[rules] = is_picking
    end
    return is_picking
  end

  -- A task has finished: what was before it has ended, unless its rule picks some.
  local function look_before_finished(flow, task)
    if has_flag(flow, CANCELS_OTHERS) and picks_some(flow, task) then
      look_before(flow, task)
    end
  end

  -- The task begins: which dependencies its rule picked is settled, and the fields of its event say it. nil:
  -- its rule picks none.
  local function begin_by_rule(flow, task)
    local by = rules_of_edges()
    if not picks_some(flow, task) then
      return nil
    end
    local edges_name = edges_field(task)
    local edges = by.edges_of(flow[edges_name] or call('HGET', flow.key, edges_name) or nil)
    if match(edges.used, BEGUN) then
      return ''
    end
    local used = edges.used
    edges.used = '!' .. used
    set(flow, edges_name, by.text(edges))
    return ',"used":[' .. used .. ']'
  end

  -- A task's message with what its rule picked, for its worker.
  local function with_used(flow, task, message)
    if not picks_some(flow, task) then
      return message
    end
    local text = flow[edges_field(task)] or call('HGET', flow.key, edges_field(task))
    local used = match(text or '', '!([%d,]+)$')
    return used and sub(message, 1, -2) .. ',"used":[' .. used .. ']}' or message
  end

  return { pass = pass, tell_one = tell_one, tell_some = tell_some, settle_ends = settle_ends,
    end_task = end_by_rules, tell_held = tell_held, begin = begin_by_rule, with_used = with_used,
    look_before_finished = look_before_finished, ranges_of = ranges_of,
    listed_from = listed_from }
end

-- What is done in flows that have rules, made when a call first meets one.
local known_rules_of_flows = nil
local function by_rules()
  known_rules_of_flows = known_rules_of_flows or make_rules_of_flows()
  return known_rules_of_flows
end
