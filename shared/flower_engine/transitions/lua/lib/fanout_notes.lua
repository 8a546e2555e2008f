-- Notes of wide fan-outs, "<flow>:<task>:<byte of its dependents to go on from>", in the list "fanout": what
-- is still to be released, in steps; see release.lua. Task 0 stands for the roots of a flow. In a flow with
-- rules the kind of what became of the task stands before the byte (see edges.lua). Of a map "i" does, and
-- the index (from 1) of the item to go on from; or "k": results of its items are forgotten from there on.
-- With "c" and "C" it is looked whether somebody needs what is before the task, or its items (unneeded.lua).
-- needs: base, keys
local fanout_notes = {}

local function note_fanout(id, task, kind, from)
  fanout_notes[#fanout_notes + 1] = id .. ':' .. task .. ':' .. (kind or '') .. (from or '1')
end

-- How many notes of a flow with rules there are, this call's among them. (Those of others are taken off the
-- list wherever a flow is loaded as a whole.)
local function count_notes(flow)
  local count = 0
  if flow.ruled then
    for index = 1, #fanout_notes do
      count = count + (sub(fanout_notes[index], 1, 36) == flow.id and 1 or 0)
    end
    if tonumber(call('HGET', meta_key(), 'fanout') or 0) > 0 then
      for _, note in ipairs(call('LRANGE', fanout_key(), 0, -1)) do
        count = count + (sub(note, 1, 36) == flow.id and 1 or 0)
      end
    end
  end
  return count
end

local function save_fanout_notes()
  if #fanout_notes > 0 then
    call_chunked('RPUSH', fanout_key(), fanout_notes, CHUNK)
    call('HINCRBY', meta_key(), 'fanout', #fanout_notes)
  end
end
