#!lua flags=allow-oom
-- fence: a recovery takes the partition: from here on every other transition answers "lost".
-- needs: base, keys
--
-- Guarantees: of two recoveries the one with the higher generation wins, whatever the other goes on to send;
--   a partition of another installation is left alone. Safe to send twice.
-- ARGV: installation id, partitions at first, partitions there ever were, numbers of those that nobody works
--   on, generation that is being made
-- Reply: {"ok"} | {"stale", generation that holds or is being made} | {"foreign", installation}.
--   Cost: constant.
local installation, partitions, in_all, gone, generation = unpack(ARGV, 1, 5)
local meta = call('HMGET', meta_key(), 'installation', 'generation', 'recovering')
local newest = math.max(tonumber(meta[2] or 0), tonumber(meta[3] or 0))
if meta[1] and meta[1] ~= installation then
  return { 'foreign', meta[1] }
elseif newest > tonumber(generation) or meta[2] == generation then
  return { 'stale', digits(newest) }
end
call('HDEL', meta_key(), 'generation', 'retired', 'gone')
call('HSET', meta_key(), 'installation', installation, 'partitions', partitions, 'in_all', in_all,
  'recovering', generation)
if gone ~= '' then
  call('HSET', meta_key(), 'gone', gone)
end
return { 'ok' }
