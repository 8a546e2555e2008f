#!lua
-- fire_slots: slots of schedules get their fates; those that fire, their flows. Refused when memory is short.
-- needs: base, bells, cancel_flow, cleanup, commit, engine_time, events, flow_fields, flows, keys, meta
-- needs: ready, registering, scheduled
--
-- Guarantees: a slot's flow, its event, and the cursor behind it appear together, so that each slot has one
--   fate, and each that fired one flow, whoever else decides at the same time and however often this is sent.
--   Nothing is decided before its time by Redis' clock, or by another definition than holds.
-- ARGV: generation, number of plans, the plans as register.lua has them, then for each schedule: uid, version
--   and cursor as they were when this was decided (cursor "": slots of the past, for a backfill), overlap
--   (allow | skip | queue_one | queue | strict | cancel), most failures in a row ("": any number), when it is
--   due next ("": never), the newest slot that has come ("": unknown), number of decisions, then for each,
--   oldest first: kind (miss | skip | fire), first slot, last slot, how many, its time in ms, reason (of a
--   backfill: its name), detail (JSON), number of its plan, flow, slot before it, slot behind it (0: none)
-- Reply: {"ok", for each schedule: word, how many decisions hold, cursor, detail} or {"lost"}. Words: ok |
--   stale (it is at another version or cursor) | gone | early (detail: Redis' clock) | held (detail: the flow
--   that it waits for) | failed (skipped, as its flows failed too often in a row) | later (this call did
--   enough, or fields of a flow that were sent ahead are not there, nor is the flow).
-- Cost: linear in decisions, in the fields that come with the call, and the tasks of what is cancelled.
local generation, plan_count = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end
local MOST_TASKS = 400 -- registered and cancelled by a call, less its last flow
local LOOK_AGAIN_MS = 60000 -- at what waits for a flow of which nothing is heard
local COUNTS_STOPPED = { strict = true }
local WAITS = { queue_one = true, queue = true, strict = true }
local plans, at = read_plans(plan_count, ARGV, 3)
local tasks = 0

-- The first flow of the schedule that is under way.
local function under_way(uid, overlap)
  local key = schedule_flows_key(uid)
  for _, id in ipairs(call('ZRANGE', key, COUNTS_STOPPED[overlap] and '-inf' or '0', '+inf', 'BYSCORE')) do
    if flows[id] and flows[id].left == 0 then -- it was cancelled in this call
      call('ZREM', key, id)
    elseif call('EXISTS', flow_key(id)) == 1 or tonumber(call('ZSCORE', key, id)) < 0 then
      return id
    else -- nobody knows it any more
      call('ZREM', key, id)
    end
  end
end

-- Cancels what is under way of the schedule; what is ending already goes on with its cleanup.
local function cancel_all(uid, slot)
  for _, id in ipairs(call('ZRANGE', schedule_flows_key(uid), '0', '+inf', 'BYSCORE')) do
    local key = flow_key(id)
    local counters = not flows[id] and call('HGET', key, COUNTERS)
    local flow = counters and keep_flow(id, key, counters) or flows[id]
    if flow and flow.left > 0 and not is_ending(flow) then
      save_lanes() -- it may have been registered in this call
      ring()
      keep_pushed({})
      tasks = tasks + flow.left + flow.done
      cancel_flow(flow, '"schedule"',
        '"slot ' .. slot .. ' of its schedule came, which cancels what is under way"')
    end
    if not flow or flow.left == 0 then
      call('ZREM', schedule_flows_key(uid), id)
    end
  end
end

local function begin_event(kind, uid, failures)
  return '{"type":"schedule.' .. kind .. '","at":' .. now .. ',"schedule":"' .. uid .. '"'
    .. (failures == '0' and '' or ',"failures":' .. failures)
end

local function decide(uid, known, given, decision, is_last)
  local kind, first, last, count, due, reason, detail, plan, id, before, behind =
    unpack(ARGV, decision, decision + 10)
  local failures, is_backfill = known[3], given.cursor == ''
  local late = clock - due
  local tail = (late > 0 and ',"late_ms":' .. digits(late) or '') .. (is_last and ',"last":true' or '') .. '}'
  if late < 0 then
    return 'early', digits(clock)
  end
  local blocker
  if kind == 'fire' and not is_backfill then
    if given.most_failures ~= '' and tonumber(failures) >= tonumber(given.most_failures) then
      kind, reason, detail = 'skip', 'failures', '""'
      given.has_failed = true
    elseif given.overlap == 'cancel' then
      cancel_all(uid, first)
    elseif given.overlap ~= 'allow' then
      blocker = under_way(uid, given.overlap)
      if blocker and WAITS[given.overlap] then
        if known[4] ~= first then
          append(begin_event('held', uid, failures) .. ',"slot":' .. first .. ',"flow":"' .. blocker .. '"}')
          call('HSET', schedule_key(uid), 'h', first)
          known[4] = first
        end
        return 'held', blocker
      elseif blocker then
        kind, reason, detail = 'skip', 'overlap', '""'
      end
    end
  end
  if kind == 'skip' and reason == 'overlap' then
    blocker = under_way(uid, given.overlap)
  end
  if kind == 'fire' then
    local of_schedule = uid .. ' ' .. first .. ' ' .. before .. ' ' .. behind
    local registered = plans[tonumber(plan)]
    local word = register_flow(id, registered, '', nil, slot_fields(of_schedule), of_schedule)
    tasks = tasks + registered.tasks
    if word == 'ok' or word == 'duplicate' then
      if word == 'ok' then
        add_to_schedule(id, uid, first, '')
      end
      given.has_fired = true
      append(begin_event('fired', uid, failures) .. ',"slot":' .. first .. ',"flow":"' .. id .. '"'
        .. (is_backfill and ',"backfill":"' .. reason .. '"' or '') .. tail)
      return 'ok'
    end
    kind, reason = 'skip', 'limit'
    blocker = match(word, '^skipped (.+)$')
    detail = blocker and '""'
      or '"as many flows of its workflow are under way as may be: ' .. sub(word, 6) .. '"'
    if is_backfill then
      return 'full'
    end
  end
  append(begin_event(kind == 'miss' and 'missed' or 'skipped', uid, failures)
    .. ',"slot":' .. first .. ',"until":'
    .. last .. (count == '1' and '' or ',"count":' .. count) .. ',"reason":"' .. reason .. '"'
    .. (detail == '""' and '' or ',"detail":' .. detail)
    .. (blocker and ',"flow":"' .. blocker .. '"' or '') .. tail)
  return 'ok'
end

local words = { 'ok' }
local function answer(...)
  for _, word in ipairs({ ... }) do
    words[#words + 1] = word
  end
end

while at <= #ARGV do
  local uid, version, cursor, overlap, most_failures, next_due, come, count = unpack(ARGV, at, at + 7)
  local given = { cursor = cursor, overlap = overlap, most_failures = most_failures }
  local key, decision = schedule_key(uid), at + 8
  count = tonumber(count)
  at = decision + 11 * count
  local known = call('HMGET', key, 'v', 'c', 'f', 'h', 'w', 'st', 'n')
  if not known[1] then
    answer('gone', '0', '0', '')
  elseif known[1] ~= version or (cursor ~= '' and known[2] ~= cursor) then
    answer('stale', '0', known[2], '')
  else
    local word, detail, done, now_at = 'ok', '', 0, known[2]
    local held = known[4]
    while done < count and word == 'ok' do
      local planned = plans[tonumber(ARGV[decision + 7])]
      if tasks >= MOST_TASKS or (planned and lacks_fields(planned, ARGV[decision + 8])) then
        word = 'later'
      else
        word, detail = decide(uid, known, given, decision,
          next_due == '' and cursor ~= '' and done + 1 == count)
        if word == 'ok' then
          now_at = ARGV[decision + 2]
          done = done + 1
          decision = decision + 11
          known[4] = nil
        end
      end
    end
    if cursor ~= '' then
      if done > 0 then
        if given.has_fired then
          call('HSET', key, 'c', now_at, 'l', digits(clock))
        else
          call('HSET', key, 'c', now_at)
        end
        if held and not known[4] then
          call('HDEL', key, 'h')
        end
        if known[5] and tonumber(known[5]) <= tonumber(now_at) then
          call('HDEL', key, 'w')
        end
      end
      if word == 'held' and come ~= '' and overlap ~= 'queue_one' then
        call('HSET', key, 'w', come)
      end
      if word == 'held' then
        call('ZADD', schedules_key(), string.format('%d', clock + LOOK_AGAIN_MS), uid)
      elseif word == 'early' then
        call('ZADD', schedules_key(), ARGV[decision + 4], uid)
      elseif word == 'ok' and next_due == '' then
        if count == 0 and known[6] ~= 'finished' then
          append(begin_event('defined', uid, known[3]) .. ',"name":' .. known[7] .. ',"version":' .. version
            .. ',"state":"finished","cursor":' .. now_at .. '}')
        end
        call('HSET', key, 'st', 'finished')
        call('ZREM', schedules_key(), uid)
      elseif word == 'ok' then
        call('ZADD', schedules_key(), next_due, uid)
      end
      if word == 'ok' and given.has_failed then
        word = 'failed'
      end
    end
    answer(word, digits(done), now_at, detail or '')
  end
end
save_registered()
commit()
return words
