#!lua flags=allow-oom
-- prune: what ended before a moment goes from Postgres; from here on nothing of it is put back.
-- needs: base, keys
--
-- Guarantees: behind this call no operation puts back a flow that ended before `until` (see operation.lua).
--   So a flow that is not named in the reply stays at its end, as Postgres has it, until the prune is over
--   (pruned.lua). A mark of an earlier prune that reaches further keeps doing so. Safe to send twice.
-- ARGV: generation, until (ms), the prune's id, for each flow that is to go: id, its version in Postgres
-- Reply: {"ok", flows that stay: they are under way, or ended anew...} or {"lost"}. Cost: linear in the
--   flows.
local generation, until_ms, prune = unpack(ARGV, 1, 3)
local head = call('HMGET', meta_key(), 'generation', 'pruning')
if head[1] ~= generation then
  return { 'lost' }
end
local before = tonumber(match(head[2] or '', '^(%d+) ') or -1)
call('HSET', meta_key(), 'pruning', digits(math.max(before, tonumber(until_ms))) .. ' ' .. prune)
local reply = { 'ok' }
for index = 4, #ARGV, 2 do
  local id = ARGV[index]
  local ended = ended_key(id)
  local version = match(call('GET', ended) or '', '^%d+')
  if call('EXISTS', flow_key(id)) == 1 or (version and tonumber(version) > tonumber(ARGV[index + 1])) then
    reply[#reply + 1] = id
  elseif version then
    call('SET', ended, version .. ' pruned') -- who finds nothing more of it knows why
  end
end
return reply
