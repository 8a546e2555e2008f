#!lua flags=allow-oom
-- halt: fences every service off, because this Redis lost events that the archive has.
-- needs: base, meta
--
-- Guarantees: from here on every transition answers "lost", until a recovery. Safe to send twice.
-- ARGV: generation, why
-- Reply: {"ok"} or {"lost"} (somebody halted it already). Cost: constant.
if current_generation ~= ARGV[1] then
  return { 'lost' }
end
-- No generation at all, rather than another one: a service that starts now must not take it for its own.
call('HDEL', KEYS[1], 'generation')
call('HSET', KEYS[1], 'halted_generation', ARGV[1], 'halted_why', ARGV[2])
return { 'ok' }
