-- Timers: what happens by itself at a time. "timers" is a zset of members. By due ms in engine time:
--   r:<flow>:<task> its retry is due     b:<flow> it begins
-- and, behind all of these, timeouts by TIMEOUTS + due ms in steady time, so that no stall and no jump of the
-- clock makes one due. That is engine time less what passed while nobody watched: beyond the `horizon` that the
-- last tick set it stands still.
--   q:<flow>:<task> it has waited too long for a worker     a:<flow>:<task> its attempt takes too long
--   f:<flow> the flow takes too long
-- An older version has timeouts by engine time, too; they stay where they are until they are due.
-- needs: base, engine_time, keys
-- layer: 2
local TIMEOUTS = 2 ^ 50
local TIMEOUTS_FROM = '1125899906842624' -- as a score
local POLICY = '^(%d+) (%d+) (%S+) (%d+) (%S+) (%d+) (%d+)$'

local function set_timer(member, after_ms)
  call('ZADD', timers_key(), string.format('%d', now + after_ms), member)
end

local steady = nil
local function steady_now()
  if not steady then
    local got = call('HMGET', meta_key(), 'horizon', 'held')
    steady = math.min(now_ms, tonumber(got[1] or now_ms)) - tonumber(got[2] or 0)
  end
  return steady
end

local function set_timeout(member, after_ms)
  call('ZADD', timers_key(), string.format('%d', TIMEOUTS + steady_now() + after_ms), member)
end

-- In how many ms a timer with this score is due.
local function due_in(score)
  score = tonumber(score)
  return score < TIMEOUTS and score - now_ms or score - TIMEOUTS - steady_now()
end

local function drop_timer(kind, flow, task)
  call('ZREM', timers_key(), kind .. ':' .. flow.id .. ':' .. task)
end

-- The policy of a task of a flow that may have timers_key(), or nil. POLICY takes it apart: max attempts (0: no
-- retries), delay, backoff, longest delay, jitter, timeout of an attempt, timeout of the wait (0: none).
local function policy_of(flow, task)
  local name = 'p' .. task
  local policy = flow[name]
  if policy == nil then
    policy = call('HGET', flow.key, name)
    flow[name] = policy
  end
  return policy or nil
end

-- The flow goes on: where its timeout was over, it has the whole time again.
local function restart_flow_timer(flow)
  local timeout = call('HGET', flow.key, 't')
  if timeout and not string.find(flow.flags, '[wn]') and not call('ZSCORE', timers_key(), 'f:' .. flow.id) then
    set_timeout('f:' .. flow.id, timeout)
  end
end

local function start_queue_timer(flow, task)
  local policy = policy_of(flow, task)
  local limit = policy and match(policy, '%d+$')
  if limit and limit ~= '0' then
    set_timeout('q:' .. flow.id .. ':' .. task, limit)
  end
end

local function start_attempt_timer(flow, task)
  local policy = policy_of(flow, task)
  if policy then
    local limit, wait = match(policy, '(%d+) (%d+)$')
    if wait ~= '0' then
      drop_timer('q', flow, task)
    end
    if limit ~= '0' then
      set_timeout('a:' .. flow.id .. ':' .. task, limit)
    end
  end
end
