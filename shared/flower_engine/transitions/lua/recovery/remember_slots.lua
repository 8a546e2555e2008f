#!lua flags=allow-oom
-- remember_slots: a recovery tells up to where slots of schedules have their fates.
-- needs: base, events, keys
--
-- Guarantees: no slot that had its fate gets another; fates that only the lost log had are in the log again.
--   The definitions come from their table, by a watcher. Safe to send twice.
-- ARGV: generation that is being made, for each schedule: uid, cursor in ms, failures in a row, slot that
--   waits for a flow in ms ("": none), number of events, events (JSON)
-- Reply: {"ok"} or {"lost"}. Cost: linear in schedules and events.
local generation = unpack(ARGV, 1, 1)
if call('HGET', meta_key(), 'recovering') ~= generation then
  return { 'lost' }
end
local at = 2
while at <= #ARGV do
  local uid, cursor, failures, held, events = unpack(ARGV, at, at + 4)
  local key = schedule_key(uid)
  if call('EXISTS', key) == 0 then
    for index = at + 5, at + 4 + events do
      append(ARGV[index])
    end
    call('HSET', key, 'c', cursor, 'f', failures)
    if held ~= '' then
      call('HSET', key, 'h', held)
    end
  end
  at = at + 5 + events
end
save_events()
return { 'ok' }
