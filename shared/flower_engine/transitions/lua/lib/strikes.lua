-- Strikes: operators' orders to pass over every task of a program whose parameter has a value, as it is
-- about to start. limits["x:<program>"] is a JSON list of {id, parameter, value, by, reason}.
-- rarely used
-- needs: base, events, flow_fields, flows, kept_results, keys, lanes, rules, statuses, timers

-- What a parameter of a task (`told`: its message) is, where it may be the whole result of another task: that
-- is looked up, if it is one that a strike may name (a text, a number, true or false) and lies with the flow.
-- nil where it is too long to be what is `wanted`: a result may have a megabyte, and many tasks read it.
local function value_struck(flow, told, value, wanted)
  if type(value) ~= 'table' or value['$from'] == nil or next(value, next(value)) ~= nil or not told.refs then
    return value
  end
  local producer = told.reads and told.reads[tostring(value['$from'])]
  local of = producer and digits(producer)
  local most = type(wanted) == 'string' and 6 * #wanted + 3 or 400 -- each byte may be written as \u0000
  local function field(name) return flow[name] or call('HGET', flow.key, name) end
  local bytes = 0
  if of then
    read_uses(flow, { of }, {})
    bytes = select(2, use_of(flow, of)) -- 0: it is not kept
  end
  local result = bytes > 0 and bytes <= most and field(result_field(of))
  if not result or not match(result, '^=[^{%[]') then
    return nil
  end
  local is_json, decoded = pcall(cjson.decode, sub(result, 2)) -- no result may stop a claim
  if is_json then
    return decoded
  end
end

-- The strike that a task's message meets, or nil. (`lane.strikes` is false from then on where there is none.)
local function strike_on(flow, lane, message)
  local known = lane.strikes
  if known == nil then
    local text = call('HGET', limits_key(), 'x:' .. plain_program(lane.program))
    known = text and cjson.decode(text) or false
    lane.strikes = known
  end
  if known then
    local told = cjson.decode(message)
    local parameters, given = told.parameters or {}, told.given or {}
    for _, strike in ipairs(known) do
      local value = given[strike.parameter]
      if value == nil then
        value = value_struck(flow, told, parameters[strike.parameter], strike.value)
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
