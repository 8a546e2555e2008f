-- Notes of wide fan-outs of a flow that is loaded as a whole: what they had still to count, or to push.
-- rarely used
-- needs: base, flow_fields, flows, kept_results, keys

-- Takes the flow's notes of wide fan-outs off the list (see release.lua): what they had still to count is
-- counted now (of roots, task 0, nothing is), and flow.unreleased names what they had still to push. Whoever
-- loads a flow as a whole pushes that, or places it otherwise, and saves the flow. A note of a flow that had
-- ended in the middle is void: the state that was put back has everything counted.
local function drain_notes(flow)
  if tonumber(call('HGET', meta_key(), 'fanout') or 0) <= 0 then
    return
  end
  local fanout = fanout_key()
  for _, note in ipairs(call('LRANGE', fanout, 0, -1)) do
    local id, task, from = match(note, '^(.-):(%d+):(%d+)$') -- none with a kind: see whole_rules.lua
    local of_map, map, kind, index = match(note, '^(.-):(%d+):([ik])(%d+)$')
    if of_map == flow.id then
      call('LREM', fanout, 1, note)
      call('HINCRBY', meta_key(), 'fanout', -1)
      local items = not flow.restored and call('HGET', flow.key, items_field(map))
      if items and kind == 'k' then
        forget_items(flow, items, tonumber(index), math.huge)
        flow.dirty = true
      elseif items then
        local first, count = match(items, '^(%d+) (%d+)')
        flow.unreleased = flow.unreleased or {}
        for item = first + index - 1, first + count - 1 do
          flow.unreleased[item] = true
        end
      end
    elseif id == flow.id then
      call('LREM', fanout, 1, note)
      call('HINCRBY', meta_key(), 'fanout', -1)
      flow.unreleased = flow.unreleased or {}
      local dependents = not flow.restored and links_of(call('HGET', flow.key, dependents_field(task)))
      for dependent in string.gmatch(sub(dependents or '', tonumber(from)), '%d+') do
        flow.unreleased[dependent + 0] = true
        local name = open_field(dependent)
        local open = task ~= '0' and (flow[name] or call('HGET', flow.key, name))
        if open then
          set(flow, name, digits(open - 1))
        end
      end
    end
  end
end
