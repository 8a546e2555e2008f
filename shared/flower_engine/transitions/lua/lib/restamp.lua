-- What Redis keeps by its own clock, and not in engine time, when that clock went back: when leases were last
-- kept (the idle time of pending entries), and when what is shown of workers is forgotten. Left alone, a
-- worker that died before would keep its leases, and be shown, until the clock is where it was.
-- needs: base, keys
local RESTAMP_LEASES = 1000 -- in one call

-- The pending leases of a queue behind one ("": from the first) begin anew; the last one, or nil: there is
-- none.
local function restamp_queue(queue, from, most)
  local work, owners = work_key(queue), {}
  local found = redis.pcall('XPENDING', work, 'workers', from == '' and '-' or '(' .. from, '+', most)
  if found.err then
    return nil, 0
  end
  for _, pending in ipairs(found) do
    local leases = owners[pending[2]] or { work, 'workers', pending[2], 0 }
    owners[pending[2]] = leases
    leases[#leases + 1] = pending[1]
  end
  for _, leases in pairs(owners) do
    leases[#leases + 1] = 'JUSTID'
    call('XCLAIM', unpack(leases))
  end
  return #found > 0 and found[#found][1] or nil, #found
end

-- Goes on from "<queue> <lease>" ("": from the beginning), and notes how far it came; `restamp` in meta is
-- gone when all is done.
local function restamp_from(cursor, lease_ms)
  if cursor == '' then
    for _, worker in ipairs(call('ZRANGE', workers_key(), 0, -1)) do
      local key = worker_key(worker)
      if call('PTTL', key) > lease_ms then
        call('PEXPIRE', key, lease_ms)
      end
    end
  end
  local first, from = match(cursor, '^(%S*) ?(%S*)$')
  local queues, most = call('SMEMBERS', queues_key()), RESTAMP_LEASES
  table.sort(queues)
  for _, queue in ipairs(queues) do
    if queue >= first then
      local last, count = restamp_queue(queue, queue == first and from or '', most)
      most = most - count
      if most <= 0 then
        call('HSET', meta_key(), 'restamp', queue .. ' ' .. last)
        return
      end
    end
  end
  call('HDEL', meta_key(), 'restamp')
end
