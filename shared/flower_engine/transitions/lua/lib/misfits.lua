-- Misfits: tasks whose parameters a version of their program does not take, though another may.
--
-- While two versions of a program live, a worker may claim what its own version refuses. It hands the task
-- back, and from then on the task waits in a lane whose name says which versions it is kept from, by the
-- digests of what their workers publish: "<program>@<digest>.<digest>". A claim says that of its worker.
-- needs: base
local VERSION = '@' -- no program of `serves` has this name: the digest of the worker that claims
local MOST_MISFITS = 32 -- versions that a lane names; then nobody takes the task

-- Whether a worker with these programs is one that such a lane is kept from.
local function is_kept_from(versions, serves)
  return string.find('.' .. versions .. '.', '.' .. serves[VERSION] .. '.', 1, true) ~= nil
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
