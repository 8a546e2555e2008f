-- A worker's outcomes: each is checked against its task's current lease, then counted.
-- needs: base, common_fields, events, failed_attempt, flow_control, flow_fields, flows, joins, keys, lanes
-- needs: limits, lost_worker, progress, release, returned, rounds, rules, statuses, suspects, timers
local ended_leases = {} -- queue -> leases to delete
local ended_in = {} -- lane -> how many tasks of it run no more

local function refuse(worker, id, task, lease, kind)
  append('{"type":"outcome.refused' .. at_flow .. id .. '","task":' .. task .. ',"lease":"' .. lease
    .. '","worker":"' .. worker .. '","outcome":"' .. kind .. '"}')
  return 'stale'
end

-- Counts an outcome; its word: ok | duplicate | stale | absent.
local function finish(worker, lease, member, queue, kind, payload, progress)
  local id, task = split_member(member)
  local flow, state, dependents = load_task(id, task, dependents_field(task))
  if not flow then
    local ended = call('GET', ended_key(id))
    if not ended then
      return 'absent'
    elseif match(ended, ' (.*)$') == lease then
      return 'duplicate'
    end
    return refuse(worker, id, task, lease, kind)
  end
  local status, attempt, lost, current = match(state, STATE)
  if current ~= lease then
    return refuse(worker, id, task, lease, kind)
  elseif status ~= RUNNING then
    return 'duplicate'
  end
  if has_control and is_any_counted() then
    local lane = flow[lane_field(task)] or field_of(flow, lane_field(task))
    ended_in[lane] = (ended_in[lane] or 0) + 1
  end
  local entries = ended_leases[queue]
  if not entries then
    entries = {}
    ended_leases[queue] = entries
  end
  entries[#entries + 1] = lease
  if lost ~= '0' then
    drop_suspect(worker, queue, lease)
  end
  if flow.timed then
    drop_timer(attempt_timer(flow.id, task))
  end
  if progress ~= '' and not string.find(kind, '^f?l?o?w?_?again') then -- else it is of the round that is over
    tell_progress(flow, task, attempt, lease, progress, call('HGET', flow.key, progress_field(task)))
  end
  if kind == 'finished' or kind == 'stored' then
    local is_stored = kind == 'stored'
    set_state(flow, task, FINISH, attempt, lost, lease)
    count_end(flow, task, 1)
    flow.last = lease
    change_active(flow, -1)
    append('{"type":"task.finished' .. at_flow .. id .. '","v":' .. next_version(flow) .. ',"task":' .. task
      .. ',"attempt":' .. attempt .. ',"lease":"' .. lease .. (is_stored and '","blob":' or '","result":')
      .. payload .. (flow.left == 0 and ',"ends":true}' or '}'))
    if flow.ruled then
      by_rules().look_before_finished(flow, task)
    end
    local one = not dependents and flow.common ~= false and common_with(flow, task + 0)
    if one then
      local kept = (is_stored and '@' or '=') .. payload
      if not join_common(flow, task, one, kept) then
        release(flow, task, field_of(flow, dependents_field(task)), kept, 'f')
      end
    elseif dependents then
      local kept = flow.kept and (is_stored and '@' or '=') .. payload
      if not (kept and string.byte(dependents, -1) == LONG and join_later(flow, task, dependents, kept)) then
        release(flow, task, dependents, kept, 'f')
      end
    end
  elseif kind ~= 'returned' then
    -- "retry <ms>", "again <ms>", "again_at <ms>", "flow_again <ms>", "flow_again_at <ms>",
    -- "crashed <lost workers that make poison>", "unfit <versions> <others>"
    local word, number = match(kind, '^([%a_]+) ?(%-?%d*)$')
    local unfit, others = match(kind, '^unfit (%S+) (%S+)$')
    if unfit then
      if not pass_on(flow, task, attempt, lost, lease, unfit, others, payload) then
        fail(flow, task, attempt, lost, lease, 'suspended', -1, payload, lease)
      end
    elseif word == 'again' or word == 'again_at' then
      ask_again(flow, task, attempt, lost, lease, word, tonumber(number), payload)
    elseif word == 'flow_again' or word == 'flow_again_at' then
      ask_flow_again(flow, task, attempt, lost, lease, word, tonumber(number), payload)
    elseif word == 'crashed' then
      local lane = field_of(flow, lane_field(task))
      lose(flow, task, lane, attempt, lost, lease, worker, tonumber(number) or 1, payload)
    else
      fail(flow, task, attempt, lost, lease, word, word == 'retry' and tonumber(number) or -1, payload, lease)
    end
  else
    give_back(flow, task, attempt, lost, lease)
  end
  return 'ok'
end

-- What follows from the outcomes that counted, whatever they were: their work entries are acknowledged and
-- deleted, and limits count what runs no more.
local function settle_leases()
  for lane, count in pairs(ended_in) do
    count_running(lane_of(lane), -count)
  end
  for queue, leases in pairs(ended_leases) do
    local work = work_key(queue)
    for first = 1, #leases, CHUNK do
      local step = math.min(first + CHUNK - 1, #leases)
      call('XACK', work, 'workers', unpack(leases, first, step))
      call('XDEL', work, unpack(leases, first, step))
    end
  end
end
