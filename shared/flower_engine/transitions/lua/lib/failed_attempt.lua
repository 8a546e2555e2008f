-- What follows when an attempt fails: a retry, or Suspend until an operator decides.
-- rarely used
-- needs: base, engine_time, events, failed_for_good, flow_fields, flows, statuses, timers
local RETRY_DEFAULTS = '0 1000 2.0 300000 0.1 0 0' -- of a task without a policy that asks for a retry

-- The delay in ms before the attempt that follows failure n; it varies by up to the share `jitter`. Redis
-- seeds random numbers alike for every call of a script, so a hash of the lease takes their place.
local function backoff_ms(n, delay, factor, longest, jitter, seed)
  delay, longest = tonumber(delay), tonumber(longest)
  if delay > 0 then
    delay = math.min(delay * tonumber(factor) ^ (n - 1), longest)
  end
  local random = tonumber(sub(redis.sha1hex(seed), 1, 8), 16) / 2 ^ 32
  return floor(delay * (1 + tonumber(jitter) * (2 * random - 1)) + 0.5)
end

-- Fails a running attempt by its policy. kind: failed | suspended (for good) | retry (asked for; after
-- `after` ms, if that is not negative). `keep`: the lease that the task keeps if it is suspended.
local function fail(flow, task, attempt, lost, lease, kind, after, error, keep)
  local policy = flow.timed and policy_of(flow, task)
  if kind ~= 'suspended' and (policy or kind == 'retry') then
    local most, delay, factor, longest, jitter = retries_of(policy or RETRY_DEFAULTS)
    local failures = (call('HGET', flow.key, failures_field(task)) or 0) + 1
    most = tonumber(most)
    if failures < most or (most == 0 and kind == 'retry') then
      if after < 0 then
        after = backoff_ms(failures, delay, factor, longest, jitter, flow.id .. lease)
      end
      local due = string.format('%d', now + after)
      set_state(flow, task, WAIT, attempt, lost, '@' .. due)
      set(flow, failures_field(task), digits(failures))
      append('{"type":"task.retrying' .. about(flow, task, attempt, lease) .. ',"error":' .. error
        .. ',"failures":' .. digits(failures) .. ',"due_ms":' .. due .. '}')
      set_timer(retry_timer(flow.id, task), after)
      return 'retrying'
    end
  end
  fail_for_good(flow, task, attempt, lost, lease, error, keep, '')
  return 'suspended'
end
