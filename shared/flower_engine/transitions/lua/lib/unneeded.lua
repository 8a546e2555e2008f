-- What nobody needs any more is cancelled: tasks that lead only to joins which have what their rules need and
-- say that they cancel the others; see folding/unneeded.py.
--
-- Looked at backwards from whatever needs what is before it no more (a join that has enough; any task that
-- has ended), in bounded steps: notes "c" and "C" in "fanout", see fanout_notes.lua. A step does not remember
-- what the one before it saw: it looks at how the tasks stand.
-- rarely used
-- needs: base, common_fields, edges, events, flow_fields, flows, items, kept_results, keys, lanes
-- needs: next_rounds, ready, rules, statuses, timers, tree_notes, whole_flow, whole_reading
local CUT_STEP = 100 -- tasks that a step cancels
local LOOK_STEP = 2000 -- tasks that it looks at, for all of its notes together
local AT_ONCE = 100 -- tasks behind one that are read together
local MOST_LOOKS = 100 -- notes

-- Takes a step of the oldest note, which is of these; of several, while they come to nothing. Returns how
-- many notes there are then.
local function look_step(note, waiting)
  local looked = 0

  local function make_unneeded(flow)
    local by = rules_of_edges()
    local used_by = {} -- by task: with what it began, ",1,2,", where its rule picks some
    local has_ended = {} -- by task
    local released = {} -- by task: "enough", "ended", or false where it needs what is before it
    local looks = {} -- by task: what is behind it, and how far (from the last one) nobody needs it
    local cut = {}
    local stood = { [WAIT] = {}, [RUNNING] = {}, [SUSPEND] = {} }

    local function field(name)
      local value = flow[name]
      if value == nil then
        value = call('HGET', flow.key, name)
      end
      return value or nil
    end

    -- Whether a join that cancels others has what its rule needs.
    local function has_enough(task, rules)
      local rule, most = by.rule_in(rules)
      local edges, open = by.edges_of(field(edges_field(task))), field(open_field(task))
      local left = open and tonumber(open) or 1 - by.count_ended(edges)
      local used = match(edges.used, '^!(.*)$')
      used_by[task] = used and ',' .. used .. ','
      return used ~= nil or by.decide(rule, most, edges, left) == STARTS
    end

    local function release_of(task, state, rules)
      local status, kind = sub(state, 1, 1), match(state, KIND)
      has_ended[task] = status == FINISH or status == IGNORE or kind == GIVEN_UP
      if kind == UNNEEDED then
        return 'enough'
      elseif status ~= IGNORE and by.cancels(rules) and has_enough(task, rules) then
        return 'enough'
      end
      return has_ended[task] and 'ended'
    end

    -- Reads how some of the tasks behind one stand.
    local function read_behind(behind, last)
      local names, first = {}, math.max(1, last - AT_ONCE + 1)
      for index = first, last do
        names[#names + 1], names[#names + 2] = state_field(behind[index]), rules_field(behind[index])
      end
      local got = values_of(flow, names)
      looked = looked + last - first + 1
      for index = first, last do
        local at = 2 * (index - first)
        if released[behind[index]] == nil then
          released[behind[index]] = release_of(behind[index], flow[names[at + 1]] or got[at + 1] or NEVER,
            flow[names[at + 2]] or got[at + 2] or nil)
        end
      end
    end

    -- Whether nobody needs a task with these behind it ("2,3").
    local function is_needed_by_nobody(task, dependents)
      local look = looks[task]
      if not look then
        look = { behind = tasks_read(dependents or '') }
        look.at = #look.behind
        looks[task] = look
      end
      while look.at > 0 do
        local behind = look.behind[look.at]
        if released[behind] == nil then
          read_behind(look.behind, look.at)
        end
        local used = used_by[behind] -- it may have begun with this one, which runs again
        local is_used = used and string.find(used, ',' .. task .. ',', 1, true)
        if not released[behind] or (is_used and not has_ended[behind]) then
          return false
        end
        look.is_one = look.is_one or (released[behind] == 'enough' and not is_used)
        look.at = look.at - 1
      end
      return look.is_one
    end

    -- Whether an item goes along another, and whether it is still to be released, by a note.
    local function stands_of_item(place)
      if not place.along then
        place.along = match(field(items_field(place.task)), '^%d+ %d+ ?(%d*)')
        place.released = tonumber(by_rules().listed_from(flow.id .. ':' .. place.task .. ':i')) or math.huge
      end
      return place.along ~= '', place.from > place.released
    end

    -- Whether a task that waits and has no lease is counted as active: it waits for nothing but a worker, or
    -- for its flow, which is held, to go on. `place`: of an item, that of its map.
    local function is_ready(task, known, place)
      if not flow.held then
        return string.byte(known.lane) ~= OF_THE_WORLD -- else it would await already
          and call('ZSCORE', lane_of(known.lane).key, flow.id .. ':' .. task) and true
      end
      local text, open = field(edges_field(task)), field(open_field(task))
      local is_along, is_unreleased = false, false
      if place then
        is_along, is_unreleased = stands_of_item(place)
      end
      if is_unreleased then
        return false
      elseif not (text or open or is_along or field(before_field(task))) then
        return true
      end
      local rule, most = by.rule_in(known.rules)
      local edges = by.edges_of(text)
      local left = open and tonumber(open) or 1 - by.count_ended(edges)
      return match(edges.used, BEGUN) ~= nil or by.decide(rule, most, edges, left) == STARTS
    end

    -- The task leaves wherever it waits, runs, or is held.
    local function leave(task, known, place)
      if asker_of(flow) == task then
        forget_asker(flow, task)
        if has_flag(flow, EMPTYING) then
          set_timer(lanes_timer(flow.id), 0)
        end
      end
      if known.status == RUNNING then
        end_lease(flow, task, known)
        change_active(flow, -1)
      elseif known.status == SUSPEND then
        leave_child_of(flow.id, task, known.attempt, known.lease)
        let_items_start(flow, has_flag(flow, HAS_ITEMS) and field(items_field(task)))
        drop_timer(hold_timer(flow.id, task))
      elseif known.lease ~= NO_LEASE then
        unplace(flow, task, known)
        change_active(flow, -1)
      elseif is_ready(task, known, place) then
        pull(known.lane, flow, task)
        change_active(flow, -1)
      end
    end

    -- Cancels a task, if nobody needs it; whether it did. `place`: of an item, that of its map, which is not
    -- needed.
    local function cancel_one(task, place)
      local names = { state_field(task), lane_field(task), dependents_field(task), rules_field(task) }
      local got = values_of(flow, names)
      looked = looked + 1
      local state = flow[names[1]] or got[1] or NEVER
      local known = make_alike(flow, false, state, flow[names[2]] or got[2], got[3], got[4]).known
      if is_final(known) or by.cleans_up(known.rules)
        or not (place or is_needed_by_nobody(task, known.dependents)) then
        return false
      end
      leave(task, known, place)
      set_free_state(flow, task, UNNEEDED_STATE, known)
      released[task] = 'enough'
      count_end(flow, task, 1)
      local list = stood[known.status]
      list[#list + 1] = tonumber(task)
      cut[#cut + 1] = { task = task, links = got[3], kind = known.status == SUSPEND and 'N' or 'n' }
      return true
    end

    -- The next task of a place to look at, and whether it is an item; nil: there is none.
    local function next_of(place)
      if place.kind == 'C' then
        local first, count = match(field(items_field(place.task)) or '', '^(%d+) (%d+)')
        if not first or place.from > tonumber(count) then
          return nil
        end
        place.from = place.from + 1
        return digits(first + place.from - 2), true
      end
      place.before = place.before or field(before_field(place.task)) or ''
      local task, after = match(place.before, '^(%d+),?()', place.from)
      place.from = after
      return task
    end

    local function look_from(place)
      local places = { place }
      while #places > 0 and #cut < CUT_STEP and looked < LOOK_STEP do
        local top = places[#places]
        local task, is_item = next_of(top)
        if not task then
          places[#places] = nil
        elseif cancel_one(task, is_item and top) then
          places[#places + 1] = { task = task, kind = 'c', from = 1 }
          if not is_item and has_flag(flow, HAS_ITEMS) and field(items_field(task)) then
            places[#places + 1] = { task = task, kind = 'C', from = 1 }
          end
        end
      end
      return places
    end

    local function listed_as(name, tasks)
      return #tasks > 0 and ',"' .. name .. '":[' .. by_rules().ranges_of(tasks) .. ']' or ''
    end

    -- The event, and those behind what was cancelled hear of it.
    local function settle_cut(cause)
      if #cut == 0 then
        return
      end
      append('{"type":"tasks.unneeded' .. at_flow .. flow.id .. '","v":' .. next_version(flow) .. ',"cause":'
        .. cause .. listed_as('ranges', stood[WAIT]) .. listed_as('ran', stood[RUNNING])
        .. listed_as('held', stood[SUSPEND]) .. (flow.left == 0 and ',"ends":true}' or '}'))
      for index = 1, #cut do
        by_rules().end_task(flow, cut[index].task, cut[index].links, cut[index].kind)
      end
    end

    return function(place)
      local released_at = released[place.task]
      if released_at == nil then
        local got = call('HMGET', flow.key, state_field(place.task), rules_field(place.task))
        released_at = release_of(place.task, flow[state_field(place.task)] or got[1] or NEVER, got[2] or nil)
      end
      local places = released_at and look_from(place) or {}
      settle_cut(place.task)
      return places
    end
  end

  -- Looks from there on. Returns the notes that are to be in its place, that which is to go on first last.
  local function look(flow, task, kind, from)
    local left, places = {}, {}
    if flow.left > 0 then
      places = make_unneeded(flow)({ task = task, kind = kind, from = tonumber(from) })
    end
    for index = 1, #places do
      local place = places[index]
      left[index] = flow.id .. ':' .. place.task .. ':' .. place.kind .. digits(place.from)
    end
    return left
  end

  local fanout, looks, was_found = fanout_key(), 0, false
  repeat -- until something is cancelled: so that is of one note
    local id, task, kind, from = match(note, '^(.-):(%d+):(%a)(%d+)$')
    local flow = load_task(id, task, before_field(task))
    local left = flow and look(flow, task, kind, from) or {}
    was_found = #left > 0 or (flow and flow.changes > 0)
    call('LPOP', fanout)
    if #left > 0 then
      call('LPUSH', fanout, unpack(left))
    end
    if flow then
      change_active(flow, #left - 1)
      flow.dirty = true
    end
    waiting = call('HINCRBY', meta_key(), 'fanout', #left - 1)
    looks = looks + 1
    note = call('LINDEX', fanout, 0)
  until was_found or looked >= LOOK_STEP or looks == MOST_LOOKS or not note or not match(note, ':[cC]%d+$')
  return waiting
end
