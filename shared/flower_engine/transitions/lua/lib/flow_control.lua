-- Whether anything but plain queues is there: limits, pauses, strikes, boards. Where there is not, nothing
-- asks.
-- needs: base, keys, meta
-- layer: 2
local has_control = control_mark and true or false

local function begin_control()
  if not has_control then
    call('HSET', meta_key(), 'control', '1')
    has_control = true
  end
end

local function end_control()
  call('HDEL', meta_key(), 'control')
  has_control = false
end
