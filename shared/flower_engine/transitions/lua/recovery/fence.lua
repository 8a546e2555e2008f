#!lua flags=allow-oom
-- fence: a recovery takes the partition: from here on every other transition answers "lost".
-- needs: base
--
-- Guarantees: of two recoveries the one with the higher generation wins, whatever the other goes on to send;
--   a partition of another installation is left alone. Safe to send twice.
-- ARGV: "" (there is no generation now), installation id, partitions in all, generation that is being made
-- Reply: {"ok"} | {"stale", generation that holds or is being made} | {"foreign", installation}. Cost: constant.
local meta = call('HMGET', KEYS[1], 'installation', 'generation', 'recovering')
local newest = math.max(tonumber(meta[2] or 0), tonumber(meta[3] or 0))
if meta[1] and meta[1] ~= ARGV[2] then
  return { 'foreign', meta[1] }
elseif newest > tonumber(ARGV[4]) or meta[2] == ARGV[4] then
  return { 'stale', digits(newest) }
end
call('HDEL', KEYS[1], 'generation')
call('HSET', KEYS[1], 'installation', ARGV[2], 'partitions', ARGV[3], 'recovering', ARGV[4])
return { 'ok' }
