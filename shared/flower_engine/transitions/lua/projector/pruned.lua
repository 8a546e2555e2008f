#!lua flags=allow-oom
-- pruned: a prune is over.
-- needs: base, keys
--
-- Guarantees: "gone": what ended before `until` stays refused, so that no operation that read a history
--   before it went puts it back. "kept": nothing has gone, operations are taken again. "back": the same of
--   every prune, as Postgres, which has just been looked at while none was at work, has the flows. The mark
--   of another prune, or one that reaches further, stays (but for "back"). Safe to send twice.
-- ARGV: generation, until (ms), the prune's id, "gone" | "kept" | "back"
-- Reply: {"ok"} or {"lost"}. Cost: constant.
local generation, until_ms, prune, word = unpack(ARGV, 1, 4)
local head = call('HMGET', meta_key(), 'generation', 'pruning', 'pruned')
if head[1] ~= generation then
  return { 'lost' }
end
local to = tonumber(until_ms)
local marked, by = match(head[2] or '', '^(%d+) (.*)$')
if marked and tonumber(marked) <= to and (by == prune or word == 'back') then
  call('HDEL', meta_key(), 'pruning')
end
local gone = tonumber(head[3] or -1)
if word == 'gone' and to > gone then
  call('HSET', meta_key(), 'pruned', until_ms)
elseif word == 'back' and gone <= to then
  call('HDEL', meta_key(), 'pruned')
end
return { 'ok' }
