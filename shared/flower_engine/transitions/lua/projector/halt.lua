#!lua flags=allow-oom
-- halt: fences every service off, because this Redis lost events that the archive has.
-- needs: base, keys, meta
--
-- Guarantees: from here on every transition answers "lost", until a recovery. Safe to send twice.
-- ARGV: generation, why
-- Reply: {"ok"} or {"lost"} (somebody halted it already). Cost: constant.
local generation, why = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end
-- No generation at all, rather than another one: a service that starts now must not take it for its own.
call('HDEL', meta_key(), 'generation')
call('HSET', meta_key(), 'halted_generation', generation, 'halted_why', why)
return { 'ok' }
