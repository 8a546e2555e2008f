#!lua flags=allow-oom
-- pruned: a prune is over.
-- needs: base
--
-- Guarantees: "gone": what ended before `until` stays refused, so that no operation that read a history before
--   it went puts it back. "kept": nothing has gone, operations are taken again. "back": the same of every prune,
--   as Postgres, which has just been looked at while none was at work, has the flows. The mark of another prune,
--   or one that reaches further, stays (but for "back"). Safe to send twice.
-- ARGV: generation, until (ms), the prune's id, "gone" | "kept" | "back"
-- Reply: {"ok"} or {"lost"}. Cost: constant.
local head = call('HMGET', KEYS[1], 'generation', 'pruning', 'pruned')
if head[1] ~= ARGV[1] then
  return { 'lost' }
end
local to, word = tonumber(ARGV[2]), ARGV[4]
local marked, by = match(head[2] or '', '^(%d+) (.*)$')
if marked and tonumber(marked) <= to and (by == ARGV[3] or word == 'back') then
  call('HDEL', KEYS[1], 'pruning')
end
local gone = tonumber(head[3] or -1)
if word == 'gone' and to > gone then
  call('HSET', KEYS[1], 'pruned', ARGV[2])
elseif word == 'back' and gone <= to then
  call('HDEL', KEYS[1], 'pruned')
end
return { 'ok' }
