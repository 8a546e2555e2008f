#!lua flags=allow-oom
-- expand: the items of a map, in steps; with the last one they are tasks of its flow.
-- needs: awaiting, base, commit, engine_time, events, fanout_notes, flow_fields, flows, items, meta
-- needs: release, statuses
--
-- Guarantees: until the last step nothing has changed that anybody sees, and whoever began it may be gone.
--   The first that takes the last step counts, if it is of the attempt in which the map awaits; the items
--   come together with their event, and the map waits for them. At most RELEASE_STEP go to their lanes at
--   once. Safe to send twice.
-- ARGV: generation, who expands (JSON), "<flow>:<task>", attempt, a name for this expansion, lane of the map
--   as it was read, in four lines: policy of the items ("": none), what they wait for ("": workers run them;
--   see waits.lua), their rules ("": none; see edges.lua), those of the map with its items ("": as they are);
--   how many items, how many of them were sent before, fields of the event behind "first" (JSON; "": more
--   items are to be sent), most tasks of a flow, then for each item: its message, its lane ("": that of the
--   one before)
-- Reply: {"ok"} | {"more"} | {"stale"}: somebody was first, or it is not to be expanded any more |
--   {"busy"}: somebody else is at it | {"anew"}: begin with the first item | {"many", tasks}: the flow would
--   have more tasks than it may | {"lost"}. Cost: linear in the items of the step; the last one in all items.
local generation, by, member, wanted, name, lane, alike, items, before, told, most = unpack(ARGV, 1, 11)
if current_generation ~= generation then
  return { 'lost' }
end
local count = tonumber(items)
local policy, wait, rules, map_rules = match(alike, '^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
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
  return { 'many', digits(first - 1 + count) }
end
local staged_for, staged_by, staged_first, staged, staged_ms =
  match(known[2] or '', '^(%d+) (%S+) (%d+) (%d+) (%d+)$')
local is_own = staged_for == task and staged_by == name and tonumber(staged_first) == first
  and staged == before
if not is_own then
  if staged_by and staged_by ~= name and staged_ms + PATIENCE_MS > now_ms then
    return { 'busy' }
  elseif before ~= '0' then
    return { 'anew' }
  end
end

local fields, n, sent, lane_of_item = {}, 0, tonumber(before), nil
local links = task .. '<!'
for index = 12, #ARGV, 2 do
  local item = string.format('%d', first + sent)
  fields[n + 1], fields[n + 2] = message_field(item), ARGV[index]
  lane_of_item = ARGV[index + 1] ~= '' and ARGV[index + 1] or lane_of_item
  fields[n + 3], fields[n + 4] = lane_field(item), lane_of_item
  fields[n + 5], fields[n + 6] = dependents_field(item), links
  fields[n + 7], fields[n + 8] = readers_field(item), '1'
  n = n + 8
  if policy ~= '' or wait ~= '' then
    fields[n + 1] = policy ~= '' and policy_field(item) or wait_field(item)
    fields[n + 2] = policy ~= '' and policy or wait
    n = n + 2
  end
  if rules ~= '' then
    fields[n + 1], fields[n + 2] = rules_field(item), rules
    n = n + 2
  end
  sent = sent + 1
end
if told == '' or sent ~= count then
  fields[#fields + 1] = STAGED
  fields[#fields + 1] = concat({ task, name, digits(first), digits(sent), string.format('%d', now_ms) }, ' ')
  call_chunked('HSET', flow.key, fields, CHUNK)
  return { 'more' }
end
call_chunked('HSET', flow.key, fields, CHUNK)
if known[2] then
  call('HDEL', flow.key, STAGED)
end

-- The map waits for its items, and reads what comes of them.
local function wait_for_items()
  local dependents, reads, is_long = links_of(known[3])
  local read = (reads and reads .. ',' or '') .. digits(first) .. '-' .. digits(first + count - 1) .. '?'
  set(flow, dependents_field(task), (dependents or '') .. '<' .. read .. (is_long and '!' or ''))
  set(flow, items_field(task), digits(first) .. ' ' .. digits(count))
  set(flow, open_field(task), digits(count))
  if map_rules ~= '' then
    set(flow, rules_field(task), map_rules)
  end
  set_state(flow, task, WAIT, attempt, lost, NO_LEASE)
  if not has_flag(flow, HAS_ITEMS) then
    set_flag(flow, HAS_ITEMS, true)
  end
end

stop_awaiting(flow, task, lease)
wait_for_items()
flow.left = flow.left + count
append('{"type":"task.expanded' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
  .. ',"attempt":' .. attempt .. ',"by":' .. by .. ',"first":' .. digits(first) .. told .. '}')
change_active(flow, -1)
if release_items(flow, digits(first) .. ' ' .. items, 1, math.min(RELEASE_STEP, count)) then
  note_fanout(id, task, 'i', digits(RELEASE_STEP + 1))
  change_active(flow, 1)
end
commit()
return { 'ok' }
