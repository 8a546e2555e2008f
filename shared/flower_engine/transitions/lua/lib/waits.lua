-- Tasks that wait for the world: they begin to await, and end when what they await has come.
--
-- Field "wN" of a flow says what such a task waits for (waits/wait_programs.py, wait_text). Whatever makes
-- one ready pushes it, as any task (ready.lua), and at the end of the call it awaits; where a signal is kept
-- that it takes, it ends at once.
-- needs: awaiting, base, common_fields, engine_time, events, flow_fields, flows, ready, release, rules
-- needs: signals, statuses

-- What the task of this state awaited has come: it is Finish with this result (JSON), and its dependents go
-- on. `by` is JSON; `signal`: the id (JSON) of the one that it takes, or nil. `says`: what a decision came
-- to ("t" or "f"). `is_blob`: the result is the JSON of a BlobRef.
local function end_wait(flow, task, state, by, result, signal, says, is_blob)
  local _, attempt, lost, lease = match(state, STATE)
  stop_awaiting(flow, task, lease)
  set_state(flow, task, FINISH .. (says or ''), attempt, lost, NO_LEASE)
  count_end(flow, task, 1)
  change_active(flow, -1)
  if sub(lease, 1, 9) == '~returns ' then
    set(flow, RETURNED, task .. (is_blob and ' @' or ' ') .. result)
  end
  append('{"type":"task.answered' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"task":'
    .. task .. ',"attempt":' .. attempt .. ',"by":' .. by .. (signal and ',"signal":' .. signal or '')
    .. (is_blob and ',"blob":' or ',"result":') .. result .. (flow.left == 0 and ',"ends":true}' or '}'))
  if flow.ruled then
    by_rules().look_before_finished(flow, task)
  end
  local links = field_of(flow, dependents_field(task))
  if links then
    local kind = says == 't' and 'y' or says == 'f' and 'z' or 'f'
    release(flow, task, links, (is_blob and '@' or '=') .. result, kind)
  end
end

-- What was pushed of tasks that wait for the world awaits from here on.
local function begin_waits()
  local some = taken_to_await()
  if #some == 0 then
    return
  end

  local function begin_wait(id, task)
    local flow, state, wait = load_task(id, task, wait_field(task))
    local status, attempt, lost, lease = match(flow and state or NEVER, STATE)
    if not flow or flow.left == 0 or flow.held or not wait or status ~= WAIT or lease ~= NO_LEASE then
      return
    end
    local kind, rest = match(wait, '^(%a+) (.*)$')
    local until_ms, names = 0, nil
    if kind == 'sleep' then
      local moment = match(rest, '^@(%d+)$')
      until_ms = moment and math.max(now_ms, engine_time_of(tonumber(moment))) or now_ms + rest
    else
      local timeout = match(rest, '^%d+')
      until_ms = timeout == '0' and 0 or now_ms + timeout
      names = kind == 'event' and match(rest, '^%d+ (%S+ %S*) ')
    end
    local due = string.format('%d', until_ms)
    attempt = digits(attempt + 1)
    lease = '~' .. kind .. ' ' .. due .. (names and ' ' .. names or '')
    set_state(flow, task, WAIT, attempt, lost, lease)
    append('{"type":"task.awaiting' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
      .. ',"attempt":' .. attempt .. ',"kind":"' .. kind
      .. (until_ms > 0 and '","until_ms":' .. due or '"')
      .. (flow.ruled and by_rules().begin(flow, task) or '') .. '}')
    if names then
      local signal, by, payload = take_signal(flow, match(names, '^(%S+) (%S*)$'))
      if signal then
        end_wait(flow, task, flow[state_field(task)], by, payload, signal)
        return
      end
    end
    place_awaiting(flow, task, lease)
  end

  while #some > 0 do -- one that ends at once may free others
    for index = 1, #some, 2 do
      begin_wait(some[index], some[index + 1])
    end
    some = taken_to_await()
  end
end
