#!lua flags=allow-oom
-- park: flows of which nothing can go on before an operator acts leave Redis; their history has all of them.
-- needs: base, events, flow_fields, flows, kept_results, keys, meta, places, statuses, timers, tree_notes
-- needs: whole_flow, whole_reading
--
-- Guarantees: only a flow at the version that is given (and so archived) goes, where tasks of it are
--   suspended and none runs, is ready or retries; not one that is, or has, a child of
--   another that is under way, that waits for its start or a place, that a timeout
--   still ticks for, or that keeps a place of a limit which counts suspended flows. No event: nothing
--   happened to it. For an hour it is remembered as one that ended, so that a registration sent again finds
--   it. Safe to send twice.
-- ARGV: generation, for each flow: id, version
-- Reply: {"ok", flows parked...} or {"lost"}. Cost: linear in the flows' tasks.
local generation = unpack(ARGV, 1, 1)
if current_generation ~= generation then
  return { 'lost' }
end
local reply = { 'ok' }

local function is_idle(flow)
  local ready, suspended = find_ready(flow), false
  for task = 1, flow.count do
    local known = flow.tasks[task]
    local is_held = known.status == SUSPEND and known.kind ~= GIVEN_UP
    if known.lease == WITH_CHILD then
      return false -- a tree stays together
    elseif known.status == RUNNING or ready[task] or is_retrying(known) then
      return false
    elseif is_held and flow.ruled and call('ZSCORE', timers_key(), hold_timer(flow.id, digits(task))) then
      return false -- it is given up one day
    end
    suspended = suspended or is_held
  end
  return suspended
end

local is_releasing = tonumber(call('HGET', meta_key(), 'fanout') or 0) > 0
for index = 2, #ARGV, 2 do
  local id = ARGV[index]
  local key = flow_key(id)
  local counters = call('HGET', key, COUNTERS)
  local flow = counters and keep_flow(id, key, counters)
  if flow and digits(flow.v) == ARGV[index + 1] and not is_releasing
    and not string.find(flow.flags, NOT_BEGUN) and not string.find(flow.flags, EITHER_CHILD)
    and not call('ZSCORE', timers_key(), flow_timer(id)) then
    load_whole(flow)
    local workflow = lane_of_flow(flow).workflow
    local most, _, counts_suspended = flow_limit(workflow)
    if is_idle(flow) and not (most and counts_suspended) then
      call('ZREM', flows_key(workflow), id)
      call('UNLINK', key)
      count_kept(-(flow.kept or 0))
      call('SET', ended_key(id), digits(flow.v) .. ' -')
      note_old(endings_key(), id .. ' ' .. digits(flow.v))
      reply[#reply + 1] = id
    end
  end
end
save_kept_count()
save_events()
return reply
