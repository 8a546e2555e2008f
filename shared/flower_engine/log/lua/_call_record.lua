-- The record of a worker's last call, so that the same call sent again gets the first reply again.
--
-- call:<worker> is "<number> <word,...> <queue/first lease/last lease/leases,...> <more>".
local function words_of(text)
  local words = {}
  for word in string.gmatch(text, '[^,]+') do
    words[#words + 1] = word
  end
  return words
end

-- The claims that the call granted, but for those that lapsed since. A call's leases of a queue are
-- neighbours in its work stream, so first and last tell them all.
local function still_held(granted)
  local claims = {}
  for queue, first, last, count in string.gmatch(granted, '([^,/]+)/([^,/]+)/([^,/]+)/(%d+)') do
    local work = prefix .. 'work:' .. queue
    for _, pending in ipairs(call('XPENDING', work, 'workers', first, last, count, ARGV[2])) do
      local lease = pending[1]
      local member = call('XRANGE', work, lease, lease)[1][2][2]
      local id, task = split_member(member)
      local got = call('HMGET', prefix .. 'flow:' .. id, 's' .. task, 'm' .. task)
      local n = #claims
      claims[n + 1], claims[n + 2], claims[n + 3] = lease, member, queue
      local _, attempt = match(got[1], STATE)
      claims[n + 4], claims[n + 5] = attempt, got[2]
    end
  end
  return claims
end
