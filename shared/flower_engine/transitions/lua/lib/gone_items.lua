-- Maps that are expanded anew: their items vanish, as others will come; and with them those of maps that go
-- along them, which are expanded anew, too.
-- needs: base, flow_fields, flows, kept_results, ready, statuses, tree_notes, whole_data, whole_flow
-- needs: whole_reading

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
    local anew, maps, behind_of = {}, {}, tasks_behind
    if not has_flag(flow, HAS_ITEMS) then
      return maps
    end
    for task = 1, flow.count do
      local known = flow.tasks[task]
      if again[task] then
        anew[task] = anew[task] or (known.items and asked[task])
        for _, number in ipairs(behind_of(known)) do
          local behind = flow.tasks[number]
          if again[number] and behind.items and not is_item_of(behind, task)
            and not goes_along(behind, task) then
            anew[number] = true
          end
        end
      end
    end
    for _ in ipairs(flow.along) do -- as often as the longest chain needs
      for _, task in ipairs(flow.along) do
        anew[task] = anew[task] or anew[flow.tasks[task].items.along]
      end
    end
    for task = 1, flow.count do
      if anew[task] then
        maps[#maps + 1] = task
      end
    end
    return maps
  end

  -- The items of these maps do not run again; returns them by status, or nil, the map and its item that runs.
  local function items_taken(again, maps)
    local gone = { [WAIT] = {}, [SUSPEND] = {}, [FINISH] = {}, [IGNORE] = {} }
    for _, map in ipairs(maps) do
      for item = flow.tasks[map].items.first, flow.tasks[map].items.last do
        local known = flow.tasks[item]
        if known.status == RUNNING then
          return nil, digits(map), digits(item)
        end
        again[item] = nil
        local list = gone[known.status]
        list[#list + 1] = digits(item)
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
    local change, set_free, take_out = become, set_free_state, unplace
    local has_rounds = #maps > 0 and call('HEXISTS', flow.key, ROUNDS) == 1
    for _, map in ipairs(maps) do
      local items = flow.tasks[map].items
      local over = items.along and flow.tasks[items.along].items
      for item = items.first, items.last do
        local known, text = flow.tasks[item], digits(item)
        if known.status == WAIT and known.lease == NO_LEASE then
          pull(known.lane, flow, text)
        elseif known.status == WAIT then
          take_out(flow, text, known)
        else
          leave_held(flow, text, known)
        end
        if not is_final(known) then
          count_end(flow, item, 1)
          read[#read + 1] = items.along and known.reads or nil
        end
        if known.attempt ~= '0' then
          if may_have_failures(known) then
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
        change(known, to_vanish)
        set_free(flow, text, VANISHED_STATE, known)
        if over then
          along[#along + 1] = { text, over.first + item - items.first }
        end
        local reads = known.new_reads or known.reads -- by other parameters that it was given in this call
        if reads and reads ~= '' then
          set(flow, dependents_field(text), '<' .. reads .. '!')
        else
          n = n + 1
          forgotten[n] = dependents_field(text)
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
