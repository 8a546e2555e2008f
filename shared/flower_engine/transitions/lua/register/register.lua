#!lua
-- register: starts flows. Refused as a whole when memory is short (no allow-oom).
-- needs: base, commit, engine_time, meta, registering
--
-- Guarantees: a flow is registered once, however often the call is sent, and once for each idempotency key;
-- its event, state and ready roots (or the timer of its start, or its place in the line of its workflow)
-- appear together. Where as many flows of its workflow are under way as may be, the limit says what follows.
-- ARGV: generation,
--   number of plans, then for each: tasks not final, final ones (of a fork), flags, timeout in ms (0: none),
--     workflow, event tail, lane of task 1, wide ("1": roots are released in steps), number of roots, (task,
--     lane) for each, number of fields (names and values), the fields of the flow hash (name, value...); or
--     behind their number " <name>" of the key to which they were sent ahead, which becomes the flow
--   then for each flow: flow id, number of its plan (from 1), idempotency key or "",
--     start ("": now, "<ms>": by Redis' clock, "+<ms>": from now), more fields of its event (JSON)
-- Reply: {"ok", word for each flow} or {"lost"}; words: ok | duplicate | anew: fields that were sent ahead
--   are not there (any more) | known <flow> <workflow>: the flow that has the key | full <flows at once> |
--   skipped <flow under way>. Cost: linear in the fields that come with the call, and in roots; callers keep
--   a call to a few thousand tasks.
local generation, plan_count = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end
local plans, at = read_plans(plan_count, ARGV, 3)

-- The time before which nothing of a flow starts, or nil if it starts now. One that is given by the clock is
-- in engine time what it will be when the clock shows it.
local function start_of(text)
  if text == '' then
    return nil
  end
  local start
  if sub(text, 1, 1) == '+' then
    start = now + sub(text, 2)
  else
    start = engine_time_of(tonumber(text))
  end
  return start > now_ms and start or nil
end

local words = { 'ok' }
for index = at, #ARGV, 5 do
  local plan = plans[tonumber(ARGV[index + 1])]
  words[#words + 1] =
    register_flow(ARGV[index], plan, ARGV[index + 2], start_of(ARGV[index + 3]), ARGV[index + 4])
end
save_registered()
commit()
return words
