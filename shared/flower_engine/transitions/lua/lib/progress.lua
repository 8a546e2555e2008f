-- What a running attempt tells of its progress (a JSON object); logged where it differs from the last told.
-- rarely used
-- needs: base, events, flow_fields, flows
local function tell_progress(flow, task, attempt, lease, progress, told)
  if told ~= progress then
    set(flow, progress_field(task), progress)
    append('{"type":"task.progressed' .. about(flow, task, attempt, lease)
      .. (progress == '{}' and '' or ',' .. sub(progress, 2, -2)) .. '}')
  end
end
