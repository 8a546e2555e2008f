#!lua flags=allow-oom
-- finish_and_claim: hands in a worker's outcomes and gives it new tasks.
-- needs: base, bells, call_record, choose, claim, commit, fanout_notes, flows, inputs, joins, keys, meta
-- needs: misfits, outcomes, reading_ahead, ready, release, rewind
--
-- Guarantees: an outcome counts once, and only while its lease is the task's current one; dependents
-- become ready, and the flow ends, together with it; a claimed task is leased, started and logged
-- together. Safe to send twice: the same call number gives the first reply again, an older one "stale".
-- Works when memory is short: finishing is what frees it.
-- Of a worker that was answered later than Redis remembers, Redis went back in time: the partition is halted.
-- ARGV: generation, worker, call number, wanted (free slots), number of the last call that was answered,
--   bytes of results that the partition may keep, digest of what the worker publishes, number of queues,
--   queues..., number of programs, programs..., then for each outcome: lease, "<flow>:<task>", queue, kind,
--   JSON, progress not told yet
--   (JSON, or ""); kinds: finished | stored (JSON: a BlobRef) | failed | suspended | returned | "retry <ms>"
--   | "again <ms>" | "again_at <ms>" (another round, so late or then; JSON: the parameters given for it)
--   | "flow_again <ms>" | "flow_again_at <ms>" (the same, of the flow)
--   | "crashed <lost workers that make poison>" | "unfit <digests of versions> <digests of others>" (these
--   versions of the program refuse the task, those may take it; joined by ".")
-- Reply: {"ok", {word for each outcome}, {lease, member, queue, attempt, message, progress, ...}, "more" |
--   "none", ms until a rate lets more start (-1: unknown)}, or {"lost"}, or {"stale"}; and where a claimed
--   task is of a flow with data, {"<flow>:<task>", its result, ...}, {leases whose results are to be stored}
--   (see inputs.lua). Words: ok | duplicate | stale | absent. "more": there are dependents to release still,
--   so the next call need not wait for a bell. A "+" behind it: there are decisions to be made (see
--   decisions.lua).
-- Cost: linear in outcomes, their dependents (at most RELEASE_STEP of wide ones), claims and what those read.
local generation, worker, call_number, wanted, answered, most_kept, version = unpack(ARGV, 1, 7)
local first_queue, last_queue = 9, 8 + tonumber(ARGV[8])
local first_program = last_queue + 2
local last_program = last_queue + 1 + tonumber(ARGV[last_queue + 1])
if current_generation ~= generation then
  note_unknown(generation, ARGV, last_program + 1)
  return { 'lost' }
end
call_number, wanted, answered = tonumber(call_number), tonumber(wanted), tonumber(answered)
keeping.is_full = tonumber(meta_marks[7] or 0) >= tonumber(most_kept)

-- The reply, with what the tasks in it read.
local function with_inputs(reply)
  if #readers_claimed > 0 then
    reply[6], reply[7] = inputs_of_claims()
  end
  return reply
end

-- What is true of the moment, and no part of what a call sent again is given again.
local function with_decisions(more)
  return tonumber(meta_marks[8] or 0) > 0 and more .. '+' or more
end

local record_key = call_key(worker)
local last = call('GET', record_key)
if last then
  local last_number, words, granted, more = match(last, '^(%d+) (%S*) (%S*) (%S+)$')
  last_number = tonumber(last_number)
  if call_number < last_number then
    return { 'stale' }
  elseif call_number == last_number then
    return with_inputs({ 'ok', words_of(words), still_held(worker, granted), with_decisions(more),
      '-1' })
  elseif last_number < answered then
    return halt_rewound(generation, 'Redis went back in time: it had answered call ' .. digits(answered)
      .. ' of worker ' .. worker .. ', and knows of none after ' .. digits(last_number),
      count_unknown(ARGV, last_program + 1))
  end
elseif answered > 0 and last_program < #ARGV then -- forgotten when the worker was, or lost
  local lease = future_lease(ARGV, last_program + 1)
  if lease then
    return halt_rewound(generation, 'Redis went back in time: worker ' .. worker .. ' holds lease ' .. lease
      .. ', which is later than any that Redis knows', count_unknown(ARGV, last_program + 1))
  end
end

local serves = { [VERSION] = version }
for index = first_program, last_program do
  serves[ARGV[index]] = true
end

local waiting = release_step(tonumber(fanout_mark or 0)) -- before anything is handed over past its lane
local words = {}
for index = last_program + 1, #ARGV, 6 do
  words[#words + 1] = finish(worker, unpack(ARGV, index, index + 5))
  local following = ARGV[index + 7]
  local flow = following and flows[sub(following, 1, 36)]
  if flow and not flow.has_read_outcomes and flow.id == sub(ARGV[index + 1], 1, 36) then
    read_for_outcomes(flow, ARGV, index + 7)
  end
end
if #joins > 0 then
  tell_joins()
end
settle_leases()
local taken, is_empty = {}, false
settle(first_queue == last_queue and function()
  local handed = hand_over(worker, ARGV[first_queue], wanted, serves)
  wanted = wanted - handed
  is_empty = handed > 0
end)

local function claim_from_queues()
  for index = first_queue, last_queue do
    if wanted <= 0 then
      break
    end
    if not is_empty then
      wanted = wanted - claim(worker, ARGV[index], wanted, serves, taken)
    end
    if wanted > 0 then
      silence_bells(ARGV[index], ARGV, first_program, last_program)
    end
  end
end

-- What waits behind tasks that strikes passed over goes on.
local function release_struck()
  ring(taken)
  keep_pushed({})
  taken = nil
  for _, passed in ipairs(struck_tasks) do
    if passed[3] then
      release(passed[1], passed[2], passed[3], nil, 'o')
    end
  end
  settle()
end

claim_from_queues()
if #struck_tasks > 0 then
  release_struck()
end
local reply = with_inputs({ 'ok', words, claims, '', opens_in and string.format('%d', opens_in) or '-1' })
save_call(taken)
local is_more = waiting > 0 or #fanout_notes > 0 or #struck_tasks > 0 or moved_lanes >= MOST_MOVED
local more = is_more and 'more' or 'none'
call('SET', record_key, digits(call_number) .. ' ' .. concat(words, ',') .. ' '
  .. concat(granted_leases, ',') .. ' ' .. more, 'EX', 86400)
reply[4] = with_decisions(more)
return reply
