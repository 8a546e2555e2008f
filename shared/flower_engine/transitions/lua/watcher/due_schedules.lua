#!lua flags=no-writes
-- due_schedules: which schedules are due, by Redis' clock.
-- needs: base, engine_time, keys, meta
--
-- Guarantees: nothing is changed.
-- ARGV: generation, how long ago they are to have been due in ms (less than 0: so long ahead), most of them
-- Reply: {"ok", Redis' clock in ms, ms until the next one will have been (-1: there is none), {uid, ms, ...}}
--   or {"lost"}. Cost: linear in those that are due.
local generation, behind_ms, most = unpack(ARGV, 1, 3)
if current_generation ~= generation then
  return { 'lost' }
end
local until_ms = string.format('%d', clock - behind_ms)
local due = call('ZRANGE', schedules_key(), '-inf', until_ms, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
local behind = call('ZRANGE', schedules_key(), '(' .. until_ms, '+inf', 'BYSCORE', 'LIMIT', 0, 1,
  'WITHSCORES')
return { 'ok', digits(clock), behind[2] and string.format('%d', behind[2] - until_ms) or '-1', due }
