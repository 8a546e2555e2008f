-- Maps that are expanded anew: their items vanish, as others will come; and with them those of maps that go
-- along them, which are expanded anew, too.
-- needs: base, common_changes, common_fields, flow_fields, flows, kept_results, ready, statuses, tree_notes
-- needs: whole_data, whole_flow, whole_reading

-- What is done with maps of a whole flow that have items.
local function by_maps(flow)
  if flow.by_maps then
    return flow.by_maps
  end
  local function is_item_of(known, task)
    return known.items ~= nil and known.items.first <= task and task <= known.items.last
  end

  -- Whether the items of a map go along those of this one: of its result the map knows nothing.
  local function goes_along(known, task)
    return known.items ~= nil and known.items.along == task
  end

  -- Whether a map that waits began on the result of this task: it has its items.
  local function began_with(known, task)
    return known.items ~= nil and known.status == WAIT and not is_item_of(known, task)
      and not goes_along(known, task)
  end

  -- Of those tasks that run again ({[task] = true}) the maps that are to be expanded anew: `asked` for, or
  -- behind another one than their items. A list; those that go along one of them are in it, too, whether they
  -- run again or not.
  local function to_expand(again, asked)
    local anew, maps, tasks = {}, {}, flow.tasks
    if not has_flag(flow, HAS_ITEMS) then
      return maps
    end
    local of_items, last_item = false, 0
    local maps_by_text = {} -- of the tasks of a text those maps that run again and have items; false: none
    local function maps_behind(known, text)
      local found = {}
      for _, number in ipairs(tasks_behind(known)) do
        if again[number] and tasks[number].items then
          found[#found + 1] = number
        end
      end
      maps_by_text[text] = found[1] and found or false
      return found[1] and found
    end
    for _, map in ipairs(flow.of_world) do
      anew[map] = again[map] and tasks[map].items and asked[map] or nil
    end
    for task = 1, flow.count do
      local known = again[task] and tasks[task]
      local text = known and known.dependents
      if text and (text ~= of_items or task > last_item) then
        local found = maps_by_text[text]
        if found == nil then
          found = maps_behind(known, text)
        end
        for index = 1, found and #found or 0 do
          local items = tasks[found[index]].items
          if task >= items.first and task <= items.last then
            of_items, last_item = #found == 1 and text, items.last -- so are others with this text, then
          elseif items.along ~= task then
            anew[found[index]] = true
          end
        end
      end
    end
    for _ in ipairs(flow.along) do -- as often as the longest chain needs
      for _, task in ipairs(flow.along) do
        anew[task] = anew[task] or anew[flow.tasks[task].items.along]
      end
    end
    for _, task in ipairs(flow.of_world) do
      if anew[task] then
        maps[#maps + 1] = task
      end
    end
    return maps
  end

  -- The items of these maps do not run again; returns them by status, or nil, the map and its item that runs.
  local function items_taken(again, maps)
    local gone, tasks, numbers = {}, flow.tasks, digits_of
    for _, status in ipairs({ WAIT, SUSPEND, FINISH, IGNORE }) do
      gone[status] = {}
    end
    for _, map in ipairs(maps) do
      local status_before, list, n = nil, nil, 0
      for item = tasks[map].items.first, tasks[map].items.last do
        local status = tasks[item].status
        if status == RUNNING then
          return nil, digits(map), digits(item)
        elseif status ~= status_before then
          status_before, list = status, gone[status]
          n = #list
        end
        again[item] = nil
        n = n + 1
        list[n] = numbers[item] or digits(item)
      end
    end
    return gone
  end

  -- What such a map reads without its items.
  local function reads_left(known)
    if known.items.along then
      return digits(known.items.along)
    end
    return (string.gsub(known.reads or '', ',?%d+%-%d+%?', ''))
  end

  -- The items of these maps are no longer theirs; reopen (see whole_flow.lua) must follow.
  local function drop_items(maps)
    local forgotten, read, along, n = {}, {}, {}, 0
    local tasks, written, at, numbers = flow.tasks, {}, 0, digits_of
    local names, own_of = names_of(flow, state_field('')), next
    local links = names_of(flow, dependents_field(''))
    local has_rounds = #maps > 0 and call('HEXISTS', flow.key, ROUNDS) == 1
    -- What is done with an item that has nothing of its own but its lease: worked out once for all that are
    -- alike.
    local function usual_of(alike, known)
      local reads = known.reads
      alike.vanishing = { waits = known.status == WAIT, lane = known.lane, left = is_final(known) and 0 or 1,
        has_begun = known.attempt ~= '0', may_have_failures = may_have_failures(known),
        reads = known.reads, links = reads and reads ~= '' and '<' .. reads .. '!',
        meta = changed_alike(alike, to_vanish).meta,
        state = VANISHED_STATE .. ' ' .. known.attempt .. ' 0 ' .. NO_LEASE }
      return alike.vanishing
    end
    -- The same of one that has more of its own.
    local function only(known, text)
      if known.status == WAIT then
        unplace(flow, text, known)
      else
        leave_held(flow, text, known)
      end
      local reads = known.new_reads or known.reads -- by other parameters that it was given in this call
      local found = { left = is_final(known) and 0 or 1, has_begun = known.attempt ~= '0',
        may_have_failures = may_have_failures(known), reads = known.reads,
        links = reads and reads ~= '' and '<' .. reads .. '!',
        state = VANISHED_STATE .. ' ' .. known.attempt .. ' 0 ' .. NO_LEASE }
      become(known, to_vanish)
      return found
    end

    local alike_before, usual, left = nil, nil, 0 -- left: those of the items that had not ended
    local in_lanes, pulled_of_lane = {}, nil -- what may be in a lane, by that; `are_there`: all of it is
    local ready, unreleased = #maps > 0 and find_ready(flow), flow.unreleased
    for _, map in ipairs(maps) do
      local items = tasks[map].items
      local over = items.along and tasks[items.along].items
      local common = common_with(flow, items.first)
      if common then -- nobody is behind them any more
        change_common_links(flow, common, over and string.format('<%+d!', over.first - items.first) or '<')
      end
      for item = items.first, items.last do
        local known, text, found = tasks[item], numbers[item] or digits(item), nil
        local own = own_of(known)
        if not own or (own == 'lease' and own_of(known, own) == nil) then
          local alike, lease = known.alike, known.lease
          if alike ~= alike_before then
            alike_before, usual = alike, alike.vanishing or usual_of(alike, known)
            pulled_of_lane = in_lanes[usual.lane]
            if not pulled_of_lane then
              pulled_of_lane = { are_there = true }
              in_lanes[usual.lane] = pulled_of_lane
            end
          end
          if usual.waits and lease == NO_LEASE then
            found = usual
            pulled_of_lane[#pulled_of_lane + 1] = text
            if not ready[item] or (unreleased and unreleased[item]) then
              pulled_of_lane.are_there = false
            end
          elseif not usual.waits and lease ~= WITH_CHILD then
            found = usual
          end
        end
        if found then
          setmetatable(known, found.meta)
          known.lease = nil
        else
          found = only(known, text)
        end
        left = left + found.left
        if items.along and found.left == 1 then
          read[#read + 1] = found.reads or nil
        end
        if found.has_begun then
          if found.may_have_failures then
            n = n + 1
            forgotten[n] = failures_field(text)
          end
          n = n + 1
          forgotten[n] = progress_field(text)
          if has_rounds then
            n = n + 1
            forgotten[n] = round_field(text)
          end
        end
        local name = names[item]
        if flow[name] then
          set(flow, name, found.state)
        else
          written[at + 1], written[at + 2] = name, found.state
          at = at + 2
        end
        if over then
          along[#along + 1] = { text, over.first + item - items.first }
        end
        if found.links and not (common and found.links == common_links(common, item)) then
          set(flow, links[item], found.links)
        else
          n = n + 1
          forgotten[n] = links[item]
        end
      end
      n = n + 1
      forgotten[n] = items_field(digits(map))
      flow.tasks[map].items = nil
      if flow.tasks[map].rules and match(flow.tasks[map].rules, '^tolerated ') then
        give_rules(flow.tasks[map], (string.gsub(flow.tasks[map].rules, '^tolerated %d+', 'ready 0')))
        set(flow, rules_field(digits(map)), flow.tasks[map].rules)
      end
    end
    for _, one in ipairs(along) do -- they wait no more behind those that stay
      local producer = flow.tasks[one[2]]
      if producer.dependents then
        local left = string.gsub(',' .. producer.dependents .. ',', ',' .. one[1] .. ',', ',')
        producer.dependents = string.gsub(left, '^,?(.-),?$', '%1')
        set_links(flow, digits(one[2]), producer)
      end
    end
    write_many(flow, written, at)
    flow.left, flow.done = flow.left - left, flow.done + left
    for lane, texts in pairs(in_lanes) do
      pull_many(lane, flow, texts, texts.are_there)
    end
    read_uses(flow, read, {})
    for _, producer in ipairs(read) do -- each item that goes along another one reads that alone
      count_reader(flow, producer, -1)
    end
    if n > 0 then
      call_chunked('HDEL', flow.key, forgotten, CHUNK)
    end
  end

  flow.by_maps = { began_with = began_with, goes_along = goes_along, to_expand = to_expand,
    items_taken = items_taken, reads_left = reads_left, drop_items = drop_items }
  return flow.by_maps
end
