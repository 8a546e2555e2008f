-- Notes of wide fan-outs of a flow that is loaded as a whole: what they had still to count, or to push.
-- rarely used
-- needs: base, common_fields, flow_fields, flows, kept_results, keys, statuses

local FEW_NOTES = 10

-- Takes those notes off the list of which `is_one` says so: few one by one, of many the list is written anew
-- without them, as to find one takes as long as the list is.
local function drop_notes(is_one)
  if tonumber(call('HGET', meta_key(), 'fanout') or 0) <= 0 then
    return
  end
  local key, dropped, left = fanout_key(), {}, {}
  local notes = call('LRANGE', key, 0, -1)
  for index = 1, #notes do
    local list = is_one(notes[index]) and dropped or left
    list[#list + 1] = notes[index]
  end
  if #dropped > FEW_NOTES then
    call('UNLINK', key)
    if #left > 0 then
      call_chunked('RPUSH', key, left, CHUNK)
    end
  end
  for index = 1, #dropped <= FEW_NOTES and #dropped or 0 do
    call('LREM', key, 1, dropped[index])
  end
  if #dropped > 0 then
    call('HINCRBY', meta_key(), 'fanout', #left - #notes)
  end
end

-- Takes the flow's notes of wide fan-outs off the list (see release.lua): what they had still to count is
-- counted now (of roots, task 0, nothing is), and flow.unreleased names what they had still to push. Whoever
-- loads a flow as a whole pushes that, or places it otherwise, and saves the flow. A note of a flow that had
-- ended in the middle is void: the state that was put back has everything counted.
local function drain_notes(flow)
  drop_notes(function(note)
    local id, task, from = match(note, '^(.-):(%d+):(%d+)$') -- none with a kind: see whole_rules.lua
    local of_map, map, kind, index = match(note, '^(.-):(%d+):([ik])(%d+)$')
    if of_map == flow.id then
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
      flow.unreleased = flow.unreleased or {}
      local dependents = not flow.restored and links_of(field_of(flow, dependents_field(task)))
      for dependent in string.gmatch(sub(dependents or '', tonumber(from)), '%d+') do
        flow.unreleased[dependent + 0] = true
        local name = open_field(dependent)
        local open = task ~= '0' and (flow[name] or call('HGET', flow.key, name))
        if open then
          set(flow, name, digits(open - 1))
        end
      end
    end
    return of_map == flow.id or id == flow.id
  end)
end

-- The lanes of a whole flow were being emptied (emptying.lua): that is over, and flow.unreleased names what
-- is in none now.
local function stop_emptying(flow)
  local by_lane, id = {}, flow.id .. ':'
  for task = 1, flow.count do
    local known = flow.tasks[task]
    if known.status == WAIT and known.lease == NO_LEASE then
      local list = by_lane[known.lane] or {}
      by_lane[known.lane] = list
      list[#list + 1] = task
    end
  end
  local outside = flow.unreleased or {}
  for lane, tasks in pairs(by_lane) do
    for first = 1, #tasks, CHUNK do
      local members = {}
      for index = first, math.min(#tasks, first + CHUNK - 1) do
        members[#members + 1] = id .. digits(tasks[index])
      end
      local scores = call('ZMSCORE', lane_key(lane), unpack(members))
      for index = 1, #members do
        outside[tasks[first + index - 1]] = not scores[index] or nil
      end
    end
  end
  flow.unreleased = outside
  set_flag(flow, EMPTYING, false)
end
