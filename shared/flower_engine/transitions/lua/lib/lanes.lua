-- Lanes: where ready tasks wait. A lane is named
--   "<queue>:<priority>:<workflow>[/<fair key>]:[!]<program>[@<versions>][*<units>]
--   [/<workflow's key>[/<program's key>[/<window>]]]"
-- up to the last ":" is its share, which fairness serves; see suspects.lua for "!", misfits.lua for "@". The
-- window is that of the map whose item a task is, see limits.lua; where one is met there is flow control, but
-- for items that other flows do (child_windows.lua).
-- needs: base, flow_control, keys
-- layer: 2

local lanes = {}

-- What a lane's name says.
local function lane_of(name)
  local lane = lanes[name]
  if not lane then
    local share, queue, priority, workflow, program, rest =
      match(name, '^(([^:]*):([^:]*):([^:/]*)[^:]*):([^:*/]*)(.*)$')
    lane = { name = name, key = lane_key(name), share = share, queue = queue, priority = priority,
      workflow = workflow, program = program, units = 1 }
    if rest ~= '' then
      lane.units = tonumber(match(rest, '^%*(%d+)') or 1)
      lane.workflow_key, lane.program_key = match(rest, '/([^/]*)/?([^/]*)')
      lane.window = match(rest, '/[^/]*/[^/]*/(.+)$')
      if lane.window and not has_control and sub(name, 1, 1) ~= '@' then
        begin_control()
      end
    end
    lanes[name] = lane
  end
  return lane
end

-- A part of a lane's name, as people gave it.
local function unescaped(part)
  return (string.gsub(part, '%%(%x%x)', function(code)
    return string.char(tonumber(code, 16))
  end))
end

-- The program of a lane without its marks, as limits, bells and strikes know it.
local function plain_program(program)
  return match(program, '[^!@]+')
end
