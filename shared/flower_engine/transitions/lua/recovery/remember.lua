#!lua flags=allow-oom
-- remember: a recovery tells which flows ended lately, and which idempotency keys are taken.
-- needs: base, keys, positions
--
-- Guarantees: a registration that is sent again, late, is known as one; trim forgets both in their time.
--   A call sent twice writes a name twice into the lists of what is to be forgotten, which does no harm.
-- ARGV: generation that is being made, number of flows that ended, for each (oldest end first): flow id,
--   version at its end, ms of its end; then for each key (oldest first): key, flow id, workflow, ms
-- Reply: {"ok"} or {"lost"}. Cost: linear in both.
local generation, ended_count = unpack(ARGV, 1, 2)
if call('HGET', meta_key(), 'recovering') ~= generation then
  return { 'lost' }
end
local at, position = 3, '@' .. last_position() .. ' ' -- all that led here is archived, and so before it
for _ = 1, tonumber(ended_count) do
  local id, version = ARGV[at], ARGV[at + 1]
  call('SET', ended_key(id), version .. ' -')
  call('RPUSH', endings_key(), ARGV[at + 2] .. position .. id .. ' ' .. version)
  at = at + 3
end
while at <= #ARGV do
  call('SET', taken_key(ARGV[at]), ARGV[at + 1] .. ' ' .. ARGV[at + 2])
  call('RPUSH', keyed_key(), ARGV[at + 3] .. position .. ARGV[at])
  at = at + 4
end
return { 'ok' }
