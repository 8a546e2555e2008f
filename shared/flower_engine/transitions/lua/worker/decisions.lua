#!lua flags=allow-oom
-- decisions: what is to be decided, with what its conditions read; and maps that are to be expanded, or whose
-- items have ended.
-- needs: awaiting, base, common_fields, engine_time, flow_fields, flows, inputs, items, kept_results, keys
-- needs: meta, statuses
--
-- Guarantees: no lease. Whoever is given a decision is the only one for HANDED_MS, so that not all evaluate
--   the same; then it is given to the next one, until somebody has handed in what it came to (decide.lua).
-- ARGV: generation, ms for which nobody has decided, most
-- Reply: {"ok", {"<flow>:<task>", attempt, message, {"<flow>:<task>", its result, ...}, of a map {its lane,
--   its policy, "<first of its items> <how many>" ("": it has none yet), of how many of them the results are
--   to be read together, how many of them were given up, of one without items {each map that may go along
--   it, or along one of these: its number, what it goes along, its message, lane, policy, earlier items}, its
--   own earlier items ("": it is not matched with any), the number that its first item would have now}, else
--   {}, ...}} or {"lost"}.
--   Results are as finish_and_claim gives them; of the first decision whatever their size, and of others as
--   far as all together fit into a reply. What items have come to whoever makes a list reads page by page:
--   while its map awaits it, nothing of it changes. Cost: linear in what it answers.
local generation, least_ms, most = unpack(ARGV, 1, 3)
if current_generation ~= generation then
  return { 'lost' }
end
local HANDED_MS = 300
local items_left = MOST_ITEMS_READ -- whose results whoever asks is to read; of the first map all are
local due = string.format('%d', now_ms - tonumber(least_ms))
local found, scores, left = {}, {}, MOST_INPUT_BYTES

-- The maps that go along one which has no items yet, as far as can be seen here, flat.
local function followers_of(flow, task)
  local followers, maps, index = {}, { task }, 1
  while maps[index] do
    local over = maps[index]
    local behind = links_of(call('HGET', flow.key, dependents_field(over)))
    local tasks, names = behind and tasks_read(behind) or {}, {}
    for n = 1, #tasks do
      names[n] = lane_field(tasks[n])
    end
    for n, lane in ipairs(values_of(flow, names)) do
      if match(lane or '', ':%%40map') then
        local one = tasks[n]
        local got = call('HMGET', flow.key, message_field(one), policy_field(one), state_field(one),
          items_field(one), earlier_field(one))
        local status, _, _, lease = match(got[3] or NEVER, STATE)
        if status == WAIT and lease == NO_LEASE and not got[4]
          and string.find(got[1], '"aligned":true', 1, true) then
          local at = #followers
          followers[at + 1], followers[at + 2], followers[at + 3] = one, over, got[1]
          followers[at + 4], followers[at + 5], followers[at + 6] = lane, got[2] or '', got[5] or ''
          maps[#maps + 1] = one
        end
      end
    end
    index = index + 1
  end
  return followers
end

for _, member in ipairs(call('ZRANGE', decide_key(), '-inf', due, 'BYSCORE', 'LIMIT', 0, most)) do
  local id, task = split_member(member)
  local flow, state, message = load_task(id, task, message_field(task))
  local _, attempt, _, lease = match(flow and state or NEVER, STATE)
  local kind = match(lease, AWAITED)
  if not flow or not is_decided(kind) then
    if call('ZREM', decide_key(), member) == 1 then -- it must stop nobody
      call('HINCRBY', meta_key(), 'decide', -1)
    end
  else
    local wanted, results, of_map = reads_of_message(message), {}, {}
    if kind == 'map' then
      local got = call('HMGET', flow.key, lane_field(task), policy_field(task), items_field(task),
        earlier_field(task))
      local count = tonumber(match(got[3] or '', '^%d+ (%d+)'))
      if #found > 0 and count and (flow.kept > left or count > items_left) then
        break
      end
      items_left = items_left - (count or 0)
      of_map = { got[1], got[2] or '', got[3] or '', count and items_at_once(flow, got[3]) or 0,
        count and flow.ruled and given_up_of(flow, task) or '0', count and {} or followers_of(flow, task),
        got[4] or '', digits(flow.left + flow.done + 1) }
      if count and not string.find(message, '"outcomes":true', 1, true) then
        wanted = {} -- else its list may tell keys, which stand in what it goes over
      end
    end
    if #found > 0 and left <= 0 then
      break
    elseif #wanted > 0 then
      left = left - add_results(results, flow, wanted, math.huge, true)
    end
    local n = #found
    found[n + 1], found[n + 2], found[n + 3], found[n + 4] = member, attempt, message, results
    found[n + 5] = of_map
    scores[#scores + 1] = string.format('%d', now_ms + HANDED_MS)
    scores[#scores + 1] = member
  end
end
if #scores > 0 then
  call('ZADD', decide_key(), 'XX', unpack(scores))
end
return { 'ok', found }
