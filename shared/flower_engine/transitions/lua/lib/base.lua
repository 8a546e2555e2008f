-- What every file stands on: short names, whole numbers as digits, many values to one command.
-- layer: 1
local call = redis.call
local sub = string.sub
local match = string.match
local concat = table.concat
local floor = math.floor

-- A whole number as digits. Lua's own conversion goes through sprintf, and a batch repeats small numbers.
local digits_of = {}
local function digits(number)
  local text = digits_of[number]
  if not text then
    text = string.format('%d', number)
    digits_of[number] = text
  end
  return text
end

-- Calls a command with many values in steps that fit Lua's stack.
local CHUNK = 1000
local function call_chunked(command, key, values, step)
  local count = #values
  if count <= CHUNK then
    return call(command, key, unpack(values))
  end
  for first = 1, count, step do
    call(command, key, unpack(values, first, math.min(first + step - 1, count)))
  end
end

-- A member of a lane or a work entry is "<flow id>:<task>"; flow ids have 36 characters.
local function split_member(member)
  return sub(member, 1, 36), sub(member, 38)
end
