-- Strikes: operators' orders to pass over every task of a program whose parameter has a value, as it is
-- about to start. limits["x:<program>"] is a JSON list of {id, parameter, value, by, reason}.
-- rarely used
-- needs: base, events, flow_fields, flows, keys, lanes, rules, statuses, timers

-- The strike that a task's message meets, or nil. (`lane.strikes` is false from then on where there is none.)
local function strike_on(lane, message)
  local known = lane.strikes
  if known == nil then
    local text = call('HGET', limits_key(), 'x:' .. plain_program(lane.program))
    known = text and cjson.decode(text) or false
    lane.strikes = known
  end
  if known then
    local told = cjson.decode(message)
    local parameters, given = told.parameters, told.given or {}
    for _, strike in ipairs(known) do
      local value = given[strike.parameter]
      if value == nil then
        value = parameters[strike.parameter]
      end
      if value == strike.value then
        return strike
      end
    end
  end
end

-- A waiting task, taken out of its lane, becomes Ignore; it is to be released then.
local function pass_over(flow, task, attempt, lost, strike)
  set_state(flow, task, IGNORE, attempt, lost, NO_LEASE)
  count_end(flow, task, 1)
  change_active(flow, -1)
  if flow.timed then
    drop_timer(queue_timer(flow.id, task))
  end
  append('{"type":"task.ignored' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"by":'
    .. cjson.encode(strike.by) .. ',"task":' .. task .. ',"was":0,"reason":'
    .. cjson.encode('strike ' .. strike.id .. (strike.reason ~= '' and ': ' .. strike.reason or ''))
    .. (flow.left == 0 and ',"ends":true}' or '}'))
  look_before(flow, task)
end
