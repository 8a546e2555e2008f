-- When timers are due. Steady time, in ms, is engine time less what passed while nobody watched: beyond the
-- `horizon` that the last tick set it stands still.
-- rarely used
-- needs: base, engine_time, keys
-- layer: 1
local TIMEOUTS = 2 ^ 50
local TIMEOUTS_FROM = '1125899906842624' -- as a score

local steady = nil
local function steady_now()
  if not steady then
    local got = call('HMGET', meta_key(), 'horizon', 'held')
    steady = math.min(now_ms, tonumber(got[1] or now_ms)) - tonumber(got[2] or 0)
  end
  return steady
end

-- In how many ms a timer with this score is due.
local function due_in(score)
  score = tonumber(score)
  return score < TIMEOUTS and score - now_ms or score - TIMEOUTS - steady_now()
end

-- In how many ms the next timer is due, timeouts not before `grace_ms`; nil: there is none.
local function next_due_in(grace_ms)
  local soonest = tonumber(call('ZRANGE', timers_key(), 0, 0, 'WITHSCORES')[2])
  if not soonest then
    return nil
  elseif soonest >= TIMEOUTS then
    return math.max(due_in(soonest), grace_ms)
  end
  local timeouts = call('ZRANGE', timers_key(), TIMEOUTS_FROM, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  return math.min(due_in(soonest), timeouts[2] and math.max(due_in(timeouts[2]), grace_ms) or math.huge)
end
