-- An attempt has failed for good: its task is held until somebody decides, or what its definition says of
-- that follows (on_failure).
-- rarely used
-- needs: base, common_fields, edges, events, flow_fields, flows, rules, statuses, timers

-- What follows a failure of a task ("hold", "hold:<ms>", "give_up", "pass"), and the stand-in for its result.
local function on_failure_of(flow, task)
  if not flow.ruled then
    return 'hold', ''
  end
  local name = rules_field(task)
  local rules = flow[name]
  if rules == nil then
    rules = call('HGET', flow.key, name)
    flow[name] = rules
  end
  local _, _, on_failure, _, stand_in = match(rules or NO_RULES, RULES)
  return on_failure, stand_in
end

-- The first line of an error's message (JSON), as JSON text: "ValueError: no". Of a long one the characters
-- that fit in so many bytes, as in reason_of of restored_flow.py.
local function reason_of(error)
  local MOST_REASON = 500 -- bytes
  local kind, message = match(error, '^{"type":"([^"]*)","message":"(.*)$')
  if not kind then
    return '""'
  end
  message = string.gsub(message, '",".*$', '')
  message = string.gsub(string.gsub(message, '"}$', ''), '\\n.*$', '')
  if #message > MOST_REASON or string.find(message, '[\\"]') then
    local is_json, decoded = pcall(cjson.decode, error)
    message = is_json and type(decoded) == 'table' and tostring(decoded.message) or ''
    message = match(message, '^[^\n]*')
    if #message > MOST_REASON then
      local is_within = match(sub(message, MOST_REASON + 1, MOST_REASON + 1), '[\128-\191]')
      message = sub(message, 1, MOST_REASON)
      if is_within then
        message = string.gsub(message, '[\192-\255][\128-\191]*$', '')
      end
    end
    return cjson.encode(kind .. ': ' .. message)
  end
  return '"' .. kind .. ': ' .. message .. '"'
end

-- A running task (`was`: its status) is given up, or one that is held. `told`: more fields of the event;
-- `error`: why, where it is known (the list of a map may tell it of an item).
local function give_up(flow, task, was, attempt, lost, lease, by, told, error)
  if error and has_flag(flow, HAS_ITEMS) then
    set(flow, reason_field(task), reason_of(error))
  end
  set_state(flow, task, GIVEN_UP_STATE, attempt, lost, lease)
  count_end(flow, task, 1)
  set_flag(flow, HAS_GIVEN_UP, true)
  append('{"type":"task.given_up' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"task":'
    .. task .. ',"was":' .. was .. ',"by":"' .. by .. '"' .. told
    .. (flow.left == 0 and ',"ends":true}' or '}'))
  look_before(flow, task)
  by_rules().end_task(flow, task, field_of(flow, dependents_field(task)), by == 'hold' and 'X' or 'x')
end

-- The task is passed over because its definition says so.
local function pass_failed(flow, task, was, attempt, lost, lease, stand_in, error, told)
  set_state(flow, task, stand_in == '' and IGNORE or WITH_RESULT_STATE, attempt, lost, lease)
  count_end(flow, task, 1)
  append('{"type":"task.ignored' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"task":'
    .. task .. ',"was":' .. was .. ',"by":"on_failure","reason":' .. reason_of(error)
    .. (stand_in == '' and '' or ',"result":' .. stand_in) .. told
    .. (flow.left == 0 and ',"ends":true}' or '}'))
  look_before(flow, task)
  local links = field_of(flow, dependents_field(task))
  by_rules().end_task(flow, task, links, stand_in == '' and 'o' or 'p',
    flow.kept and stand_in ~= '' and '=' .. stand_in or nil)
end

-- A task is held from here on (its event is appended): those hear of it that start when it fails, and the
-- time after which it is given up begins.
local function begin_hold(flow, task, on_failure)
  local ms = match(on_failure, '^hold:(%d+)$')
  if ms then
    set_timeout(hold_timer(flow.id, task), ms)
  end
  by_rules().tell_held(flow, task)
end

-- A running attempt has failed for good. `keep`: the lease that its task keeps, so that the outcome sent
-- again is known; `more`: more fields of the event.
local function fail_for_good(flow, task, attempt, lost, lease, error, keep, more)
  local on_failure, stand_in = on_failure_of(flow, task)
  change_active(flow, -1)
  if keep == lease then
    flow.last = lease
  end
  if on_failure == 'give_up' then
    give_up(flow, task, RUNNING, attempt, lost, keep, 'on_failure', ',"attempt":' .. attempt .. ',"lease":"'
      .. lease .. '","error":' .. error .. more, error)
  elseif on_failure == 'pass' then
    pass_failed(flow, task, RUNNING, attempt, lost, keep, stand_in, error, ',"error":' .. error .. more)
  else
    set_state(flow, task, SUSPEND, attempt, lost, keep)
    append('{"type":"task.suspended' .. about(flow, task, attempt, lease) .. more .. ',"error":' .. error
      .. '}')
    if flow.ruled then
      begin_hold(flow, task, on_failure)
    end
  end
end

-- A task that waited too long is held (its event is appended).
local function hold_waiting(flow, task, attempt, lost, error)
  local on_failure, stand_in = on_failure_of(flow, task)
  if on_failure == 'give_up' then
    give_up(flow, task, SUSPEND, attempt, lost, NO_LEASE, 'on_failure', ',"attempt":' .. attempt,
      error)
  elseif on_failure == 'pass' then
    pass_failed(flow, task, SUSPEND, attempt, lost, NO_LEASE, stand_in, error, '')
  elseif flow.ruled then
    begin_hold(flow, task, on_failure)
  end
end
