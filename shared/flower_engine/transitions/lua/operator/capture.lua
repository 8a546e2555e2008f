#!lua flags=no-writes
-- capture: everything that the partition's keys say at one moment, for comparison with the fold of the log.
-- needs: base, keys, meta
--
-- Guarantees: one moment, and the position of the last event before it; nothing is changed. Redis serves
--   nobody meanwhile, so the caller says for how many flows it accepts that.
-- ARGV: generation, most flows under way
-- Reply: {"ok", last position of the log, bytes of results that flows keep, decisions that it counts, kind,
--   name, content, kind, name, content...} | {"many", flows} | {"lost"}. Content: names and values of a hash,
--   members and scores of a sorted set, members of a set or list; {entries, pending} of a work stream; {} of
--   what has only a name. Cost: linear in all keys.
local generation, most_flows = unpack(ARGV, 1, 2)
if current_generation ~= generation then
  return { 'lost' }
end

local function hash(key)
  return call('HGETALL', key)
end
-- Of results that are kept it says how they begin, and how many bytes they are; of signals their ids.
local function flow_hash(key)
  local fields = call('HGETALL', key)
  for index = 1, #fields, 2 do
    if match(fields[index], '^r%d') then
      fields[index + 1] = sub(fields[index + 1], 1, 1) .. #fields[index + 1]
    elseif match(fields[index], '^n%d') then
      fields[index + 1] = match(fields[index + 1], '^%d+')
    elseif fields[index] == 'A' then
      fields[index + 1] = match(fields[index + 1], '^%d+ %d+ %d+') or ''
    elseif match(fields[index], '^q%d') then
      fields[index + 1] = match(fields[index + 1], '^[^\n]*')
    end
  end
  return fields
end
local function scored(key)
  return call('ZRANGE', key, 0, -1, 'WITHSCORES')
end
local function leased(key)
  local pending = redis.pcall('XPENDING', key, 'workers', '-', '+', call('XLEN', key) + 1000000)
  return { call('XRANGE', key, '-', '+'), pending.err and {} or pending }
end
local read = {
  flow = flow_hash, aside = hash, boards = hash, limits = hash, running = hash,
  lane = scored, share = scored, ready = scored, timers = scored, open = scored, reopen = scored,
  flows = scored, new = scored, inside = scored, outside = scored,
  waits = scored, decide = scored, tree = scored,
  schedule = hash, schedules = scored, sflows = scored,
  admitting = function(key) return call('SMEMBERS', key) end,
  fanout = function(key) return call('LRANGE', key, 0, -1) end,
  ended = function() return {} end,
  work = leased,
}

local found, flow_count = {}, 0
for _, key in ipairs(call('KEYS', partition_key('*'))) do
  local kind, name = match(name_of_key(key), '^([^:]*):?(.*)$')
  if read[kind] then
    found[#found + 1] = { kind, name, key }
    flow_count = flow_count + (kind == 'flow' and 1 or 0)
  end
end
if flow_count > tonumber(most_flows) then
  return { 'many', flow_count }
end
local last = call('XREVRANGE', log_key(), '+', '-', 'COUNT', 1)[1]
local reply = { 'ok', last and last[1] or '', meta_marks[7] or '0', meta_marks[8] or '0' }
for _, entry in ipairs(found) do
  reply[#reply + 1] = entry[1]
  reply[#reply + 1] = entry[2]
  reply[#reply + 1] = read[entry[1]](entry[3])
end
return reply
