-- The record of a worker's last call, so that the same call sent again gets the first reply again.
--
-- call:<worker> is "<number> <word,...> <queue/first lease/last lease/leases,...> <more>".
-- needs: base, flow_fields, flows, inputs, keys, rounds, rules, scheduled
local function words_of(text)
  local words = {}
  for word in string.gmatch(text, '[^,]+') do
    words[#words + 1] = word
  end
  return words
end

-- The claims that the call granted, but for those that lapsed since. A call's leases of a queue are
-- neighbours in its work stream, so first and last tell them all.
local function still_held(worker, granted)
  local held = {}
  for queue, first, last, count in string.gmatch(granted, '([^,/]+)/([^,/]+)/([^,/]+)/(%d+)') do
    local work = work_key(queue)
    for _, pending in ipairs(call('XPENDING', work, 'workers', first, last, count, worker)) do
      local lease = pending[1]
      local entry = call('XRANGE', work, lease, lease)[1]
      local member = entry and entry[2][2] or ''
      local id, task = split_member(member)
      local key = flow_key(id)
      local got = call('HMGET', key, state_field(task), message_field(task), progress_field(task), COUNTERS,
        round_field(task))
      local _, attempt, _, current = match(got[1] or NEVER, STATE)
      if current == lease then -- else it is an entry that no task points to
        local n = #held
        held[n + 1], held[n + 2], held[n + 3], held[n + 4] = lease, member, queue, attempt
        local flow = flows[id] or keep_flow(id, key, got[4])
        held[n + 5], held[n + 6] = with_round(with_slots(flow, got[2]), got[5]), got[3] or ''
        if flow.ruled then
          held[n + 5] = by_rules().with_used(flow, task, held[n + 5])
        end
        if flow.kept then
          note_reader(flow, task, lease, got[2])
        end
      end
    end
  end
  return held
end
