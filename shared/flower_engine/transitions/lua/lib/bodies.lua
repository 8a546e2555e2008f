-- Other bodies of tasks that run again, of another version of their workflow (definitions/task_places.py).
--
-- For each task of the version: task, its message as it is, its lane as it is (without "!"), and as they are
--   to be: message ("": all of it stays), lane, policy ("": none), what it reads ("2,3?"), its rules ("":
--   none), all of it as the event has it (JSON), and what it waits for of the world (see waits.lua, "":
--   nothing).
-- needs: awaiting, base, flow_fields, flows, ready, statuses, suspects, whole_flow, whole_reading
-- needs: whole_rules
local BODY_PARTS = 10

-- The bodies in values[first] and behind, so many, by task; and where the values behind them begin.
local function bodies_given(values, first, count)
  local bodies = {}
  for at = first, first + BODY_PARTS * (count - 1), BODY_PARTS do
    bodies[tonumber(values[at])] = { message_now = values[at + 1], lane_now = values[at + 2],
      message = values[at + 3], lane = values[at + 4], policy = values[at + 5], reads = values[at + 6],
      rules = values[at + 7], whole = values[at + 8],
      wait = values[at + 9] }
  end
  return next(bodies) and bodies, first + BODY_PARTS * count
end

-- Whether the task is to have another body than it has.
local function is_other_body(bodies, task)
  return bodies and bodies[task] and bodies[task].message ~= '' or false
end

-- Whether some of what runs again has rules with its other body, and so the flow has.
local function bring_rules(bodies, again)
  for task in pairs(bodies and again or {}) do
    if is_other_body(bodies, task) and bodies[task].rules ~= '' then
      return true
    end
  end
  return false
end

-- A task that runs again ({[task] = true}) and stands otherwise than who worked its body out found it: it was
-- given parameters, a priority, a version since. Or nil. (A flow that was put back is what its bodies follow
-- from: what it is put back from came with them.)
local function stale_body(flow, bodies, again)
  if not bodies or flow.restored then
    return nil
  end
  local asked, names = {}, {}
  for task = 1, flow.count do
    if again[task] then
      if not bodies[task] or bodies[task].lane_now ~= plain_lane(flow.tasks[task].lane) then
        return task
      end
      asked[#asked + 1], names[#names + 1] = task, message_field(digits(task))
    end
  end
  for first = 1, #names, CHUNK do
    local last = math.min(#names, first + CHUNK - 1)
    local got = call('HMGET', flow.key, unpack(names, first, last))
    for index = first, last do
      if got[index - first + 1] ~= bodies[asked[index]].message_now then
        return asked[index]
      end
    end
  end
  return nil
end

-- A flow in which no task read another has data from here on, if one of these bodies reads.
local function begin_data(flow, bodies, again)
  if flow.kept or not bodies then
    return
  end
  for task in pairs(again) do
    if is_other_body(bodies, task) and bodies[task].reads ~= '' then
      flow.kept, flow.counted = 0, 0
      return
    end
  end
end

-- Notes of tasks of a flow with data what they read from here on, if that is not what they read now.
local function note_new_reads(flow, bodies, again)
  for task in pairs(again) do
    local known = flow.tasks[task]
    if is_other_body(bodies, task) and bodies[task].reads ~= (known.reads or '') then
      known.new_reads = bodies[task].reads
    end
  end
end

-- Gives the tasks that run again their bodies; reopen (see whole_flow.lua) must follow. Returns what the
-- event says of it: a list of '"<task>":<body>'.
local function change_bodies(flow, bodies, again)
  local told, without_policy, without_wait, has_other_rules = {}, {}, {}, false
  for task = 1, bodies and flow.count or 0 do
    if again[task] and is_other_body(bodies, task) then
      local body, known, text = bodies[task], flow.tasks[task], digits(task)
      set(flow, message_field(text), body.message)
      if body.wait ~= '' then
        change_wait(flow, text, body.wait)
      elseif string.byte(known.lane) == OF_THE_WORLD then
        without_wait[#without_wait + 1] = wait_field(text)
      end
      if known.lane ~= body.lane then
        if known.status == WAIT then
          unplace(flow, text, known)
          known.moved = true
        end
        known.lane = body.lane
        set(flow, lane_field(text), body.lane)
      elseif known.status == WAIT then
        known.retimed = true
      end
      if body.policy ~= '' then
        set(flow, policy_field(text), body.policy)
        if not flow.timed then
          set_flag(flow, MAY_HAVE_TIMERS, true)
          flow.timed = true
        end
      elseif flow.timed then
        flow[policy_field(text)] = false
        without_policy[#without_policy + 1] = policy_field(text)
      end
      if body.rules ~= (known.rules or '') then
        has_other_rules = true
        give_rules(known, body.rules ~= '' and body.rules)
        if known.rules then
          set(flow, rules_field(text), body.rules)
        else
          flow[rules_field(text)] = false
          without_policy[#without_policy + 1] = rules_field(text)
        end
        if known.status == WAIT and not known.moved then -- by its other rule it may have to leave
          unplace(flow, text, known)
          known.moved = true
        end
      end
      told[#told + 1] = '"' .. text .. '":' .. body.whole
    end
  end
  if #without_policy > 0 then
    call_chunked('HDEL', flow.key, without_policy, CHUNK)
  end
  if #without_wait > 0 then
    call_chunked('HDEL', flow.key, without_wait, CHUNK)
  end
  if has_other_rules then
    begin_rules(flow)
  end
  return told
end
