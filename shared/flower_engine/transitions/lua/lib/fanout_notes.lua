-- Notes of wide fan-outs, "<flow>:<task>:<byte of its dependents to go on from>", in the list "fanout": what
-- is still to be released, in steps; see release.lua. Task 0 stands for the roots of a flow.
-- needs: base, keys
local fanout_notes = {}

local function note_fanout(id, task)
  fanout_notes[#fanout_notes + 1] = id .. ':' .. task .. ':1'
end

local function save_fanout_notes()
  if #fanout_notes > 0 then
    call_chunked('RPUSH', fanout_key(), fanout_notes, CHUNK)
    call('HINCRBY', meta_key(), 'fanout', #fanout_notes)
  end
end
