-- Timers: what happens by itself at a time. "timers" is a zset of members. By due ms in engine time:
--   r:<flow>:<task> its retry is due     b:<flow> it begins     s:<flow>:<task> its sleep is over
--   l:<flow> its lanes are to be filled again, as nothing of it asks for another round any more
-- and, behind all of these, timeouts by TIMEOUTS + due ms in steady time (see due.lua), so that no stall and
-- no jump of the clock makes one due.
--   q:<flow>:<task> it has waited too long for a worker     a:<flow>:<task> its attempt takes too long
--   f:<flow> the flow takes too long     d:<flow>:<task> what it awaits of the world did not come in time
--   g:<flow>:<task> it was held too long, and is given up
-- An older version has timeouts by engine time, too; they stay where they are until they are due.
-- rarely used
-- needs: base, due, engine_time, flow_fields, keys
-- layer: 2
local function retry_timer(id, task) return 'r:' .. id .. ':' .. task end
local function queue_timer(id, task) return 'q:' .. id .. ':' .. task end
local function attempt_timer(id, task) return 'a:' .. id .. ':' .. task end
local function sleep_timer(id, task) return 's:' .. id .. ':' .. task end
local function wait_timer(id, task) return 'd:' .. id .. ':' .. task end
local function hold_timer(id, task) return 'g:' .. id .. ':' .. task end
local function flow_timer(id) return 'f:' .. id end
local function start_timer(id) return 'b:' .. id end
local function lanes_timer(id) return 'l:' .. id end

local function set_timer(member, after_ms)
  call('ZADD', timers_key(), string.format('%d', now + after_ms), member)
end

local function set_timeout(member, after_ms)
  call('ZADD', timers_key(), string.format('%d', TIMEOUTS + steady_now() + after_ms), member)
end

local function drop_timer(member)
  call('ZREM', timers_key(), member)
end

-- The policy of a task of a flow that may have timers, or nil; these two take it apart, nothing else does.
local function policy_of(flow, task)
  local name = policy_field(task)
  local policy = flow[name]
  if policy == nil then
    policy = call('HGET', flow.key, name)
    flow[name] = policy
  end
  return policy or nil
end

-- Of a policy: max attempts (0: no retries), delay, backoff, longest delay, jitter.
local function retries_of(policy)
  return match(policy, '^(%d+) (%d+) (%S+) (%d+) (%S+) ')
end

-- Of a policy: the timeout of an attempt, that of the wait for a worker, ms ("0": none).
local function timeouts_of(policy)
  return match(policy, '(%d+) (%d+)$')
end

-- The flow goes on: where its timeout was over, it has the whole time again. (One that is ending has its
-- timer for the cleanup.)
local function restart_flow_timer(flow)
  local timeout, timer = call('HGET', flow.key, TIMEOUT), flow_timer(flow.id)
  if timeout and not string.find(flow.flags, NOT_BEGUN) and not call('ZSCORE', timers_key(), timer) then
    set_timeout(timer, timeout)
  end
end

local function start_queue_timer(flow, task)
  local policy = policy_of(flow, task)
  if policy then
    local _, limit = timeouts_of(policy)
    if limit ~= '0' then
      set_timeout(queue_timer(flow.id, task), limit)
    end
  end
end

local function start_attempt_timer(flow, task)
  local policy = policy_of(flow, task)
  if policy then
    local limit, wait = timeouts_of(policy)
    if wait ~= '0' then
      drop_timer(queue_timer(flow.id, task))
    end
    if limit ~= '0' then
      set_timeout(attempt_timer(flow.id, task), limit)
    end
  end
end
