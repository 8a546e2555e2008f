-- The partition's keys. All are derived from KEYS[1], its meta hash, so they carry the same hash tag.
-- layer: 1
local prefix = string.sub(KEYS[1], 1, -5)
local log_key = prefix .. 'log'
