-- The names of all keys of the partition, and nowhere else in Lua; docs/keys.md says what each holds, and
-- log/keys.py names them in Python. They are derived from KEYS[1], the hash meta, and carry the same hash
-- tag. Names of queues, programs and the like arrive with '%', ':', '/', ',' and the like percent-encoded.
-- layer: 1
local prefix = string.sub(KEYS[1], 1, -5)

local function meta_key() return KEYS[1] end
local function partition_key(name) return prefix .. name end
local function name_of_key(key) return string.sub(key, #prefix + 1) end

-- Of the partition
local function log_key() return prefix .. 'log' end
local function timers_key() return prefix .. 'timers' end
local function endings_key() return prefix .. 'endings' end
local function keyed_key() return prefix .. 'keyed' end
local function fanout_key() return prefix .. 'fanout' end
local function limits_key() return prefix .. 'limits' end
local function running_key() return prefix .. 'running' end
local function aside_key() return prefix .. 'aside' end
local function boards_key() return prefix .. 'boards' end
local function suspects_key() return prefix .. 'suspects' end
local function queues_key() return prefix .. 'queues' end
local function workers_key() return prefix .. 'workers' end
local function admitting_key() return prefix .. 'admitting' end
local function waits_key() return prefix .. 'waits' end
local function decide_key() return prefix .. 'decide' end
local function tree_key() return prefix .. 'tree' end

-- Of schedules
local function schedules_key() return prefix .. 'schedules' end
local function schedule_key(uid) return prefix .. 'schedule:' .. uid end
local function schedule_flows_key(uid) return prefix .. 'sflows:' .. uid end

-- Of flows
local function flow_key(id) return prefix .. 'flow:' .. id end
local function sent_key(name) return prefix .. 'sent:' .. name end
local function ended_key(id) return prefix .. 'ended:' .. id end
local function flows_key(workflow) return prefix .. 'flows:' .. workflow end
local function new_flows_key(workflow) return prefix .. 'new:' .. workflow end
local function inside_key(window) return prefix .. 'inside:' .. window end
local function outside_key(window) return prefix .. 'outside:' .. window end
local function taken_key(key) return prefix .. 'key:' .. key end
local function operation_key(operation) return prefix .. 'op:' .. operation end
local function rate_key(limit) return prefix .. 'rate:' .. limit end

-- Of ready and running tasks
local function lane_key(name) return prefix .. 'lane:' .. name end
local function share_key(share, board) return prefix .. 'share:' .. share .. board end
local function ready_key(queue, board) return prefix .. 'ready:' .. queue .. board end
local function turns_key(queue) return prefix .. 'turns:' .. queue end
local function open_key(queue) return prefix .. 'open:' .. queue end
local function reopen_key(queue) return prefix .. 'reopen:' .. queue end
local function split_key(queue) return prefix .. 'split:' .. queue end
local function work_key(queue) return prefix .. 'work:' .. queue end
local function bell_key(queue, program) return prefix .. 'bell:' .. queue .. ':' .. program end

-- Of workers
local function worker_key(worker) return prefix .. 'worker:' .. worker end
local function call_key(worker) return prefix .. 'call:' .. worker end
