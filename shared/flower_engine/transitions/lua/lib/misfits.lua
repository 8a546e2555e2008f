-- Misfits: tasks whose parameters a version of their program does not take, though another may.
--
-- While two versions of a program live, a worker may claim what its own version refuses. It hands the task
-- back, and from then on the task waits in a lane whose name says which versions it is kept from, by the
-- digests of what their workers publish: "<program>@<digest>.<digest>". A claim says that of its worker.
-- Where none of another version is left, whoever was kept from it takes it once more: it then sees that.
-- rarely used
-- needs: base, keys, lanes
local VERSION = '@' -- no program of `serves` has this name: the digest of the worker that claims
local MOST_MISFITS = 32 -- versions that a lane names; then nobody takes the task

local live_infos -- what live workers say of themselves, asked once a call

local function read_infos()
  live_infos = {}
  for _, worker in ipairs(call('ZRANGE', workers_key(), 0, -1)) do
    local is_read, info = pcall(cjson.decode, call('GET', worker_key(worker)) or '')
    local is_told = is_read and type(info) == 'table'
    if is_told and type(info.programs) == 'table' and type(info.queues) == 'table' then
      live_infos[#live_infos + 1] = info
    end
  end
end

local function is_listed(list, wanted)
  for _, one in ipairs(list) do
    if one == wanted then
      return true
    end
  end
  return false
end

local function is_among(version, versions)
  return string.find('.' .. versions .. '.', '.' .. version .. '.', 1, true) ~= nil
end

-- Whether a live worker has another version of the program than these; true, too, while this one is not known
-- itself: nothing can be said then.
local function is_another_left(worker, queue, program, versions)
  if not live_infos then
    read_infos()
  end
  queue, program = unescaped(queue), unescaped(program)
  local is_known = false
  for _, info in ipairs(live_infos) do
    if info.tells_version then
      if info.worker == worker then
        is_known = true
      elseif not is_among(tostring(info.signatures), versions) and is_listed(info.queues, queue)
        and is_listed(info.programs, program) then
        return true
      end
    end
  end
  return not is_known
end

-- Whether a worker with these programs is one that such a lane is kept from.
local function is_kept_from(worker, queue, program, versions, serves)
  return is_among(serves[VERSION], versions) and is_another_left(worker, queue, program, versions)
end

-- The lane beside this one (its name) that is kept from these versions ("<digest>.<digest>"), too. Nil: of
-- the others that may take the task none is left.
local function lane_kept_from(name, versions, others)
  local front, program, before, rest = match(name, '^(.*:)([^:@*/]*)@?([^:*/]*)([^:]*)$')
  local list, count, known = before, 0, {}
  for version in string.gmatch(before, '[^.]+') do
    known[version] = true
    count = count + 1
  end
  for version in string.gmatch(versions, '[^.]+') do
    if not known[version] then
      known[version] = true
      list = list .. (list == '' and '' or '.') .. version
      count = count + 1
    end
  end
  for version in string.gmatch(others, '[^.]+') do
    if not known[version] and count <= MOST_MISFITS then
      return front .. program .. '@' .. list .. rest
    end
  end
  return nil
end
