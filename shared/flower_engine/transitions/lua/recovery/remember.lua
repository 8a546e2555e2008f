#!lua flags=allow-oom
-- remember: a recovery tells which flows ended lately, and which idempotency keys are taken.
-- needs: base, keys, positions
--
-- Guarantees: a registration that is sent again, late, is known as one; trim forgets both in their time.
--   A call sent twice writes a name twice into the lists of what is to be forgotten, which does no harm.
-- ARGV: generation that is being made, number of flows that ended, for each (oldest end first): flow id,
--   version at its end, ms of its end; then for each key (oldest first): key, flow id, workflow, ms
-- Reply: {"ok"} or {"lost"}. Cost: linear in both.
if call('HGET', KEYS[1], 'recovering') ~= ARGV[1] then
  return { 'lost' }
end
local at, position = 3, '@' .. last_position() .. ' ' -- all that led here is archived, and so before it
for _ = 1, tonumber(ARGV[2]) do
  local id, version = ARGV[at], ARGV[at + 1]
  call('SET', prefix .. 'ended:' .. id, version .. ' -')
  call('RPUSH', prefix .. 'endings', ARGV[at + 2] .. position .. id .. ' ' .. version)
  at = at + 3
end
while at <= #ARGV do
  call('SET', prefix .. 'key:' .. ARGV[at], ARGV[at + 1] .. ' ' .. ARGV[at + 2])
  call('RPUSH', prefix .. 'keyed', ARGV[at + 3] .. position .. ARGV[at])
  at = at + 4
end
return { 'ok' }
