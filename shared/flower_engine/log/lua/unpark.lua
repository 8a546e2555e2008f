#!lua
-- unpark: a flow that was parked is in Redis again, as its history says; an operation on it follows.
-- include _common
--
-- Guarantees: as it was, but without the place it gave back (flag z): whatever operation lets it go on takes
--   one. Refused where it has moved on since its history was read. Safe to send twice.
-- ARGV: generation, flow, version, the fields of its hash (name, value...; see restoring.py)
-- Reply: {"ok"} (it is there, now or already) | {"moved", version} | {"lost"}. Cost: linear in its fields.
if call('HGET', KEYS[1], 'generation') ~= ARGV[1] then
  return { 'lost' }
end
local key, ended = prefix .. 'flow:' .. ARGV[2], prefix .. 'ended:' .. ARGV[2]
if call('EXISTS', key) == 1 then
  return { 'ok' }
end
local version = match(call('GET', ended) or '', '^(%d+)')
if version and version ~= ARGV[3] then
  return { 'moved', version }
end
for step = 4, #ARGV, CHUNK do
  call('HSET', key, unpack(ARGV, step, math.min(#ARGV, step + CHUNK - 1)))
end
call('UNLINK', ended)
return { 'ok' }
