-- Engine time, in ms (`now`: as digits): what every time that is stored is in. It follows Redis' clock, and
-- never goes back: where the clock does, it goes on from where it was, and is ahead of the clock by `skew`
-- from then on; that much less by the SLOWER-th part of the time that passes. It stands still while a script
-- runs. See values/engine_time.py.
-- needs: base, keys, meta
-- layer: 1
local SLOWER = 10
local clock_parts = call('TIME')
local clock = clock_parts[1] * 1000 + floor(clock_parts[2] / 1000)
local tick, skew = tonumber(tick_mark or 0), tonumber(skew_mark or 0)
local now_ms, is_stepped_back = clock + skew, false
if now_ms < tick then
  is_stepped_back = true
  now_ms = tick
  local last = call('XREVRANGE', log_key(), '+', '-', 'COUNT', 1)[1]
  if last then -- it may have happened after the tick
    now_ms = math.max(tick, tonumber(match(last[2][#last[2]], '^{"type":"[%a._]+","at":(%d+)') or 0))
  end
elseif skew > 0 then
  now_ms = now_ms - math.min(skew, floor((now_ms - tick) / SLOWER))
end
local now = digits(now_ms)

-- A moment by the clock, in engine time: what that will be when the clock shows it.
local function engine_time_of(ms)
  return ms + math.max(0, now_ms - clock - math.max(0, floor((ms - clock) / SLOWER)))
end

-- From here on it is at least this: a partition that is made anew goes on from where its log ended, also
-- where the clock of its Redis is behind that.
local function begin_time_at(ms)
  now_ms = math.max(now_ms, ms)
  now, is_stepped_back = digits(now_ms), false
end
