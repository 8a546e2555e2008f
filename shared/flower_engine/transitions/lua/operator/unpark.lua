#!lua
-- unpark: a flow that was parked is in Redis again, as its history says; an operation on it follows.
-- needs: base, flow_fields, kept_results, keys, meta, positions
--
-- Guarantees: as it was, but without the place it gave back (flag z): whatever operation lets it go on takes
--   one. Refused where it has moved on since its history was read. Safe to send twice.
-- ARGV: generation, flow, version, position up to which its history was read, the fields of its hash (name,
--   value...; see restored_flow.py)
-- Reply: {"ok"} (it is there, now or already) | {"moved", version ("": nobody knows any more)} | {"lost"}.
-- Cost: linear in its fields.
local generation, id, version, position = unpack(ARGV, 1, 4)
if current_generation ~= generation then
  return { 'lost' }
end
local key, ended = flow_key(id), ended_key(id)
if call('EXISTS', key) == 1 then
  return { 'ok' }
end
local ended_version = match(call('GET', ended) or '', '^(%d+)')
local is_other = ended_version and ended_version ~= version
if is_other or (not ended_version and is_older_than_forgotten(position)) then
  return { 'moved', ended_version or '' }
end
for step = 5, #ARGV, CHUNK do
  call('HSET', key, unpack(ARGV, step, math.min(#ARGV, step + CHUNK - 1)))
end
call('UNLINK', ended)
count_kept(tonumber(match(call('HGET', key, COUNTERS), HAS_DATA) or 0)) -- what it keeps again
save_kept_count()
return { 'ok' }
