#!lua flags=allow-oom
-- prune: what ended before a moment goes from Postgres; from here on nothing of it is put back.
-- needs: base, keys
--
-- Guarantees: behind this call no operation puts back a flow that ended before `until` (see operation.lua). So a flow
--   that is not named in the reply stays at its end, as Postgres has it, until the prune is over (pruned.lua). A
--   mark of an earlier prune that reaches further keeps doing so. Safe to send twice.
-- ARGV: generation, until (ms), the prune's id, for each flow that is to go: id, its version in Postgres
-- Reply: {"ok", flows that stay: they are under way, or ended anew...} or {"lost"}. Cost: linear in the flows.
local head = call('HMGET', KEYS[1], 'generation', 'pruning')
if head[1] ~= ARGV[1] then
  return { 'lost' }
end
local before = tonumber(match(head[2] or '', '^(%d+) ') or -1)
call('HSET', KEYS[1], 'pruning', digits(math.max(before, tonumber(ARGV[2]))) .. ' ' .. ARGV[3])
local reply = { 'ok' }
for index = 4, #ARGV, 2 do
  local id = ARGV[index]
  local ended = prefix .. 'ended:' .. id
  local version = match(call('GET', ended) or '', '^%d+')
  if call('EXISTS', prefix .. 'flow:' .. id) == 1 or (version and tonumber(version) > tonumber(ARGV[index + 1])) then
    reply[#reply + 1] = id
  elseif version then
    call('SET', ended, version .. ' pruned') -- who finds nothing more of it knows why
  end
end
return reply
