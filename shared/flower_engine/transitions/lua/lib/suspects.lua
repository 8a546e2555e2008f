-- Suspects: tasks that may lose no further worker, because one more loss suspends them as poison.
--
-- Whatever kills a worker takes every task with it that the worker holds, so losses alone do not tell the
-- killer from its victims. A suspect therefore waits in a lane of its own, named as the other one but with
-- "!" before the program, and no worker holds two at a time: the loss that decides hits the killer alone.
-- The hash "suspects" says which one a worker holds: "<queue>/<lease>".
-- needs: base, keys, lanes, misfits
local SUSPECT = '!'
local may_take_suspect = nil -- asked once a call, when a suspect is first met

local function is_suspect_lane(lane)
  return sub(lane_of(lane).program, 1, 1) == SUSPECT
end

local function suspect_lane(lane)
  return is_suspect_lane(lane) and lane or (string.gsub(lane, '([^:]*)$', SUSPECT .. '%1', 1))
end

-- The lane of a task of which nothing is known yet: no suspect, and kept from no version.
local function plain_lane(lane)
  return (string.gsub(lane, ':!?([^:@*/]*)@?[^:*/]*([^:]*)$', ':%1%2', 1))
end

local function is_plain_lane(lane)
  return not match(lane, '[!@]')
end

-- Whether the worker, which serves these programs, may be given a task of a lane's program.
local function may_take(worker, queue, program, serves)
  if serves[program] then
    return true
  end
  local mark, plain, misfits = match(program, '^(!?)([^@]*)@?(.*)$')
  if not serves[plain] or (misfits ~= '' and is_kept_from(worker, queue, plain, misfits, serves)) then
    return false
  elseif mark == '' then
    return true
  elseif may_take_suspect == nil then
    may_take_suspect = call('HEXISTS', suspects_key(), worker) == 0
  end
  return may_take_suspect
end

-- A claim has one now, which the worker is to be given.
local function take_suspect()
  may_take_suspect = false
end

local function hold_suspect(worker, queue, lease)
  call('HSET', suspects_key(), worker, queue .. '/' .. lease)
end

-- The lease is over; if it was the worker's suspect, it may take another.
local function drop_suspect(worker, queue, lease)
  if call('HGET', suspects_key(), worker) == queue .. '/' .. lease then
    call('HDEL', suspects_key(), worker)
  end
end
