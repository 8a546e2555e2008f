-- Children: flows that tasks of other flows await. What those hear of them: they ended, stopped, or go on.
--
-- A child has the field PARENT, "<flow> <task> <attempt> <trunk>", and a flag, which says whether that task
-- knows that nothing of it goes on (flags k, K). The task awaits with the lease WITH_CHILD, or is held with
-- it; with any other state, or in another attempt, it awaits another child or none, and hears nothing.
-- A task of a flow that is ending may wait for the end of its child alone, and is cut off then (AWAITS_END).
-- needs: awaiting, base, common_fields, events, failed_for_good, flow_fields, flows, next_rounds, places
-- needs: release, statuses, timers, tree_notes, waits

local function make_children()
  -- A task that awaits a child, which has not ended (`is_open`) or has, is held.
  local function hold_for_child(parent, task, attempt, lost, is_open, kind, message)
    local error = '{"type":"' .. kind .. '","message":"' .. message .. '"}'
    set_state(parent, task, SUSPEND, attempt, lost, WITH_CHILD)
    change_active(parent, -1)
    append('{"type":"task.overdue' .. at_flow .. parent.id .. '","v":' .. next_version(parent) .. ',"task":'
      .. task .. ',"error":' .. error .. '}')
    hold_waiting(parent, task, attempt, lost, error)
    if is_open and match(parent[state_field(task)], '%S+ %S+$') ~= WITH_CHILD then
      stop_awaiting(parent, task, WITH_CHILD) -- it has ended: nobody awaits the child any more
    end
  end

  -- A task that was held because of its child awaits it again.
  local function lift(parent, task, attempt, lost)
    if has_flag(parent, GAVE_PLACE_BACK) then
      seek_place(parent)
      parent.active = 0
    end
    if parent.ruled then
      drop_timer(hold_timer(parent.id, task))
    end
    set_state(parent, task, WAIT, attempt, lost, WITH_CHILD)
    change_active(parent, 1)
    append('{"type":"task.lifted' .. at_flow .. parent.id .. '","v":' .. next_version(parent) .. ',"task":'
      .. task .. ',"attempt":' .. attempt .. '}')
  end

  -- What a child that has ended well returns: JSON, or "@" and the JSON of a BlobRef; nil: it is to return
  -- something, and has nothing.
  local function returned_by(flow)
    if not has_flag(flow, RETURNS) then
      return 'null'
    end
    local task, result = match(flow[RETURNED] or call('HGET', flow.key, RETURNED) or '', '^(%d+) (.*)$')
    if not task then
      return nil
    end
    local state = flow[state_field(task)] or call('HGET', flow.key, state_field(task))
    return match(state, '^%d+') == FINISH and result or nil
  end

  -- The task of its parent that awaits a child now, as (flow, task, state); nil: none does.
  local function awaiting_parent(text)
    local id, task, attempt = match(text or '', '^(%S+) (%d+) (%d+) ')
    if not id then
      return nil
    end
    local parent, state = load_task(id, task, wait_field(task))
    local status, current, _, lease = match(parent and state or NEVER, STATE)
    if not parent or parent.left == 0 or lease ~= WITH_CHILD or current ~= attempt
      or (status ~= WAIT and status ~= SUSPEND) then
      return nil
    end
    return parent, task, state
  end

  local function tell_of_end(flow, parent, task, state)
    local status, attempt, lost = match(state, STATE)
    local kind, message = nil, nil
    local returned = returned_by(flow)
    if has_flag(flow, ENDING_BY_TIMEOUT) then
      kind, message = 'ChildFailed', 'its child, flow ' .. flow.id .. ', took too long'
    elseif flow.is_cancelled or has_flag(flow, ENDING_BY_CANCEL) then
      kind, message = 'ChildCancelled', 'its child, flow ' .. flow.id .. ', was cancelled'
    elseif has_flag(flow, HAS_GIVEN_UP) then
      kind, message = 'ChildFailed', 'in its child, flow ' .. flow.id .. ', a task was given up'
    elseif asker_of(flow) then
      if status == SUSPEND then
        lift(parent, task, attempt, lost)
      end
      begin_next_child(parent, task, attempt,
        match(flow[AGAIN], '^%d+ %d+ (%d+) (.*)$'))
      return
    elseif not returned then
      kind, message = 'ChildReturnedNothing', 'its child, flow ' .. flow.id
        .. ', has ended without what it is to return: that was passed over'
    end
    if kind then
      if status == WAIT then
        hold_for_child(parent, task, attempt, lost, false, kind, message)
      end
      return
    end
    if status == SUSPEND then
      lift(parent, task, attempt, lost)
    end
    parent.answered = task
    local is_blob = sub(returned, 1, 1) == '@'
    end_wait(parent, task, parent[state_field(task)], '"child"', is_blob and sub(returned, 2) or returned,
      nil, nil, is_blob)
    parent.answered = nil
  end

  -- The child of a task has ended which waited for that alone, as its flow is ending: it is cut off.
  local function cut_off(parent, task, state)
    local _, attempt, lost, lease = match(state, STATE)
    set_state(parent, task, CUT_OFF_STATE, attempt, lost, NO_LEASE)
    count_end(parent, task, 1)
    change_active(parent, -1)
    append('{"type":"flow.ending' .. at_flow .. parent.id .. '","v":' .. next_version(parent)
      .. ',"cause":"' .. (has_flag(parent, ENDING_BY_AGAIN) and 'again' or 'cancel')
      .. '","by":"","reason":"its child has ended","until_ms":' .. match(lease, '%d+')
      .. ',"waiting":[' .. task .. '],"goes_on":true' .. (parent.left == 0 and ',"ends":true}' or '}'))
    local links = field_of(parent, dependents_field(task))
    if links then
      release(parent, task, links, nil, 'o')
    end
  end

  -- A child that nobody awaits has ended: another may have waited for that, or its task for nothing else.
  -- Returns whether that has ended then.
  local function look_again(text)
    local id, task = match(text or '', '^(%S+) (%d+) ')
    local parent, state = nil, nil
    if id then
      parent, state = load_task(id, task, wait_field(task))
    end
    local status, _, _, lease = match(parent and state or NEVER, STATE)
    if not parent or parent.left == 0 or status ~= WAIT then
      return false
    elseif lease == WITH_CHILD then
      place_awaiting(parent, task, WITH_CHILD)
    elseif match(lease, AWAITS_END) then
      cut_off(parent, task, state)
      return true
    end
    return false
  end

  -- Tells the task that awaits a child what it does not know of it yet. `is_looked_at`: whatever that is.
  -- Returns whether there was something.
  local function tell_parent(flow, is_looked_at)
    local has_ended = flow.left == 0
    if (has_ended and flow.has_told) or not string.find(flow.flags, EITHER_CHILD) then
      return false
    elseif is_looked_at and not flow.active then
      flow.active = tonumber(call('HGET', flow.key, ACTIVE))
    end
    local is_stopped = flow.active == 0
    if not has_ended and (not flow.active or is_stopped == has_flag(flow, CHILD_STOPPED))
      and not is_looked_at then
      return false
    end
    flow.has_told = has_ended
    if not has_ended and is_stopped ~= has_flag(flow, CHILD_STOPPED) then
      set_flag(flow, is_stopped and IS_CHILD or CHILD_STOPPED, false)
      set_flag(flow, is_stopped and CHILD_STOPPED or IS_CHILD, true)
    end
    local text = parent_of(flow)
    local parent, task, state = awaiting_parent(text)
    if not parent then
      return has_ended and look_again(text)
    end
    local status, attempt, lost = match(state, STATE)
    if has_ended then
      tell_of_end(flow, parent, task, state)
    elseif is_stopped and status == WAIT then
      hold_for_child(parent, task, attempt, lost, true, 'ChildSuspended', 'nothing goes on in its child,'
        .. ' flow ' .. flow.id .. ', before somebody decides what is suspended there')
    elseif not is_stopped and status == SUSPEND then
      lift(parent, task, attempt, lost)
    else
      return false
    end
    return true
  end

  -- Parents hear of the children of this call; what becomes of them may be news of a child, too.
  local function tell_all()
    local is_told = true
    while is_told do
      is_told = false
      for index = 1, #told_flows do
        is_told = tell_parent(told_flows[index], false) or is_told
      end
      begin_waits()
    end
  end

  return { tell_all = tell_all, tell = tell_parent, awaiting = awaiting_parent, cut_off = cut_off }
end

local function settle_children()
  for index = 1, #told_flows do
    if string.find(told_flows[index].flags, EITHER_CHILD) then
      make_children().tell_all()
      return
    end
  end
end
