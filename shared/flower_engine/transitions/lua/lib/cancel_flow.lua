-- Cancelling a flow: everything that is not final becomes Ignore, and what runs loses its lease.
-- `by` and `reason` are JSON texts. Returns the tasks that were cut off.
-- needs: base, events, flows, whole_flow
local function cancel_flow(flow, by, reason)
  load_whole(flow)
  local lists, cut_off = { ['0'] = {}, ['1'] = {}, ['2'] = {} }, {}
  for task = 1, flow.count do
    local known = flow.tasks[task]
    local list, text = lists[known.status], digits(task)
    if list then
      list[#list + 1] = text
      cut_off[#cut_off + 1] = text
      if known.status == '1' then
        end_lease(flow, text, known)
      elseif known.status == '0' then
        unplace(flow, text, known)
      end
    end
  end
  append('{"type":"flow.cancelled' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"by":' .. by
    .. ',"reason":' .. reason .. listed('waiting', lists['0']) .. listed('running', lists['1'])
    .. listed('suspended', lists['2']) .. '}')
  flow.left = 0
  return cut_off
end
