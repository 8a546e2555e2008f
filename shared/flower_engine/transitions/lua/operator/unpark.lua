#!lua
-- unpark: a flow that was parked is in Redis again, as its history says; an operation on it follows.
-- needs: base, keys, meta, positions
--
-- Guarantees: as it was, but without the place it gave back (flag z): whatever operation lets it go on takes
--   one. Refused where it has moved on since its history was read. Safe to send twice.
-- ARGV: generation, flow, version, position up to which its history was read, the fields of its hash (name,
--   value...; see restored_flow.py)
-- Reply: {"ok"} (it is there, now or already) | {"moved", version ("": nobody knows any more)} | {"lost"}.
-- Cost: linear in its fields.
if current_generation ~= ARGV[1] then
  return { 'lost' }
end
local key, ended = prefix .. 'flow:' .. ARGV[2], prefix .. 'ended:' .. ARGV[2]
if call('EXISTS', key) == 1 then
  return { 'ok' }
end
local version = match(call('GET', ended) or '', '^(%d+)')
if (version and version ~= ARGV[3]) or (not version and is_older_than_forgotten(ARGV[4])) then
  return { 'moved', version or '' }
end
for step = 5, #ARGV, CHUNK do
  call('HSET', key, unpack(ARGV, step, math.min(#ARGV, step + CHUNK - 1)))
end
call('UNLINK', ended)
return { 'ok' }
