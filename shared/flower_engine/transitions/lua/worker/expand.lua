#!lua flags=allow-oom
-- expand: the items of a map, and of those that go along it, in steps; with the last one they are tasks of
-- its flow.
-- needs: awaiting, base, commit, common_changes, engine_time, events, fanout_notes, flow_fields, flows
-- needs: items, kept_results, meta, release, rules, statuses
--
-- Guarantees: until the last step nothing has changed that anybody sees, and whoever began it may be gone.
--   The first that takes the last step counts, if it is of the attempt in which the map awaits; the items
--   come together with their event, and the map waits for them; nothing is in them of others that were sent,
--   and never came. At most RELEASE_STEP go to their lanes at once. Maps that go along it have their items
--   with the same event, each waiting for the one that it goes along. Safe to send twice.
-- ARGV: generation, who expands (JSON), "<flow>:<task>", attempt, a name for this expansion, lane of the map
--   as it was read, "<items of the map> <items in all> <items of this step>", the number that the first item
--   in all is to have, how many of them were sent before; fields of the event behind "first" (JSON; "": more
--   items are to be sent); with the last ones in lines "<items that take a result over> <bytes of what all
--   take over>", the rules of the map with its items ("": as they are) and what its items have in common, and
--   of each that goes along "<map> <along> <offset of its first item from the first of all> <items that take
--   a result over> <1: others of its items may start at once>", its rules, what its items have in common and
--   its message as it was read, with tabs between (in common: by how many each is read, links and lane, see
--   common_fields.lua; "0" and twice nothing: they are few); most tasks of a flow; how many of the values
--   behind it hold only where the flow has rules (the last ones); then the fields of the items of this step,
--   name and value of each
-- Reply: {"ok"} | {"more"} | {"stale"}: somebody was first, or it is not to be expanded any more, or what
--   goes along has changed | {"busy"}: somebody else is at it | {"anew", number}: begin with the first item,
--   which is to have this number | {"many"}: the flow would have more tasks than it may | {"lost"}.
--   Cost: linear in the items of the step; the last one in all items.
local generation, by, member, wanted, name, lane, counts, head, before, told, maps, most = unpack(ARGV, 1, 12)
if current_generation ~= generation then
  return { 'lost' }
end
local items, all, of_step = match(counts, '^(%d+) (%d+) (%d+)$')
local count, sent = tonumber(all), before + of_step
local PATIENCE_MS = 2000 -- nobody else begins within it
local id, task = split_member(member)
local flow, state, now_lane = load_task(id, task, lane_field(task))
local _, attempt, lost, lease = match(flow and state or NEVER, STATE)
if not flow or attempt ~= wanted or match(lease, AWAITED) ~= 'map' or now_lane ~= lane then
  return { 'stale' }
end
local known = call('HMGET', flow.key, items_field(task), STAGED, dependents_field(task))
if known[1] then
  return { 'stale' } -- its items have ended: it is to be gathered
end
local first = flow.left + flow.done + 1
if first - 1 + count > tonumber(most) then
  return { 'many' }
end
local staged_for, staged_by, staged_first, staged, staged_ms, unclean =
  match(known[2] or '', '^(%d+) (%S+) (%d+) (%d+) (%d+) ?(%d*)$')
unclean = tonumber(unclean or '') or 0 -- up to this number, fields of items may be there that never came
local is_own = staged_for == task and staged_by == name and tonumber(staged_first) == first
  and staged == before
if not is_own then
  if staged_by and staged_by ~= name and staged_ms + PATIENCE_MS > now_ms then
    return { 'busy' }
  elseif before ~= '0' then
    return { 'anew', digits(first) }
  end
  unclean = staged_by and math.max(unclean, staged_first + staged - 1) or 0
end
if tonumber(head) ~= first then
  return { 'anew', digits(first) }
end

-- Notes who has sent how many of them.
local function note_staged(of, who, so_many, ms)
  call('HSET', flow.key, STAGED, concat({ of, who, digits(first), digits(so_many), string.format('%d', ms),
    digits(unclean) }, ' '))
end

-- Writes the items of this step, without what not every item has of those that were to have their numbers.
local function write_items()
  local left = {}
  for item = first + before, math.min(first + sent - 1, unclean) do
    local text, at = digits(item), #left
    left[at + 1], left[at + 2], left[at + 3] = policy_field(text), wait_field(text), rules_field(text)
    left[at + 4], left[at + 5], left[at + 6] = state_field(text), result_field(text), edges_field(text)
    left[at + 7], left[at + 8] = lane_field(text), dependents_field(text)
    left[at + 9] = readers_field(text)
  end
  if #left > 0 then
    call_chunked('HDEL', flow.key, left, CHUNK)
  end
  local last = #ARGV - (flow.ruled and 0 or tonumber(ARGV[13]))
  for step = 14, last, CHUNK do
    call('HSET', flow.key, unpack(ARGV, step, math.min(last, step + CHUNK - 1)))
  end
end

if told == '' or sent ~= count then
  write_items()
  note_staged(task, name, sent, now_ms)
  return { 'more' }
end

-- Each map that goes along: {map, along, offset, rules, its links, how many of its items take a result over,
-- whether others may start at once, what its items have in common}; nil: it is not as it was read.
local function maps_along()
  local found = {}
  for line in string.gmatch(maps, '\n([^\n]*)') do
    local number, along, place, taken, starts, of_rules, readers, links, of_lane, message =
      match(line, '^(%d+) (%d+) (%d+) (%d+) (%d)\t([^\t]*)\t(%d+)\t([^\t]*)\t([^\t]*)\t(.*)$')
    local got = call('HMGET', flow.key, state_field(number), items_field(number), message_field(number),
      dependents_field(number))
    local status, _, _, its_lease = match(got[1] or NEVER, STATE)
    if status ~= WAIT or its_lease ~= NO_LEASE or got[2] or got[3] ~= message then
      return nil
    end
    found[#found + 1] = { number, along, tonumber(place), of_rules, got[4], tonumber(taken), starts == '1',
      readers, links, of_lane }
  end
  return found
end

local chain = maps_along()
if not chain then
  return { 'stale' }
end
write_items()
if unclean >= first + count then
  note_staged('0', '-', 0, 0) -- for whoever has those numbers one day
elseif known[2] then
  call('HDEL', flow.key, STAGED)
end

-- A map waits for its items, so many from that number on, and reads what comes of them. `reads`: what it
-- reads beside them; `along`: the map that it goes along, or nil.
local function wait_for_items(map, from, links, reads, map_rules, along)
  local dependents, _, is_long = links_of(links)
  local read = (reads and reads .. ',' or '') .. digits(from) .. '-' .. digits(from + items - 1) .. '?'
  set(flow, dependents_field(map), (dependents or '') .. '<' .. read .. (is_long and '!' or ''))
  set(flow, items_field(map), digits(from) .. ' ' .. items .. (along and ' ' .. along or ''))
  set(flow, open_field(map), along and digits(items + 1) or items)
  if map_rules ~= '' then
    set(flow, rules_field(map), map_rules)
  end
end

stop_awaiting(flow, task, lease)
local taken, kept_bytes, own_rules, readers, own_links, of_lane =
  match(maps, '^(%d+) (%d+)\t([^\t\n]*)\t(%d+)\t([^\t\n]*)\t([^\t\n]*)')

-- Items of a map, from that number on, have this in common.
local function note_common(from, read_by, links, in_lane)
  if read_by ~= '0' then
    add_common(flow, from, from + items - 1, read_by + 0, links, in_lane)
  end
end

note_common(first, readers, own_links, of_lane)
wait_for_items(task, first, known[3], select(2, links_of(known[3])), own_rules)
local earlier, taken_in_all = { earlier_field(task) }, tonumber(taken)
for _, one in ipairs(chain) do
  local number, along = one[1], one[2]
  note_common(first + one[3], one[8], one[9], one[10])
  wait_for_items(number, first + one[3], one[5], nil, one[4], along)
  read_uses(flow, { along }, {})
  count_reader(flow, along, -1) -- its items read those of that one instead
  earlier[#earlier + 1] = earlier_field(number)
  taken_in_all = taken_in_all + one[6]
end
call('HDEL', flow.key, unpack(earlier))
flow.kept = flow.kept + kept_bytes
set_state(flow, task, WAIT, attempt, lost, NO_LEASE)
if not has_flag(flow, HAS_ITEMS) then
  set_flag(flow, HAS_ITEMS, true)
  flow.defined, flow.steps = first - 1, flow.done
end
flow.left = flow.left + count - taken_in_all
flow.done = flow.done + taken_in_all
append('{"type":"task.expanded' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
  .. ',"attempt":' .. attempt .. ',"by":' .. by .. ',"first":' .. digits(first) .. told .. '}')
change_active(flow, -1)

-- A map hears that so many of its items have finished already, from that number on.
local function hear_of_taken(map, from, so_many)
  local got = call('HMGET', flow.key, lane_field(map), state_field(map), edges_field(map), rules_field(map))
  if flow.ruled then
    by_rules().tell_one(flow, map, digits(from), 'f', nil, got[1], got[2], nil, got[3],
      flow[rules_field(map)] or got[4] or nil, nil, so_many)
  else
    release_one(flow, map, false, nil, got[1], got[2], nil, so_many)
  end
end

if taken ~= '0' then
  hear_of_taken(task, first, tonumber(taken))
end
for _, one in ipairs(chain) do
  if one[6] > 0 then
    hear_of_taken(one[1], first + one[3], one[6])
  end
  if one[7] then
    note_fanout(id, one[1], 'i', '1')
    change_active(flow, 1)
  end
end
if release_items(flow, digits(first) .. ' ' .. items, 1, math.min(RELEASE_STEP, count)) then
  note_fanout(id, task, 'i', digits(RELEASE_STEP + 1))
  change_active(flow, 1)
end
commit()
return { 'ok' }
