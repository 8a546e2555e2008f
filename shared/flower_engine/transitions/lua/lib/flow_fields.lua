-- The hash of a flow that is under way: what its fields are called and how they are written.
-- layer: 1

-- Of the flow: its counters, "<version> <tasks not final> <final ones> <order>" and flags, if any, behind
-- them; its active tasks (absent: they are not counted); its timeout in ms (absent: none); its start (only of
-- one that was put back and had ended before it).
local COUNTERS = 'c'
local ACTIVE = 'a'
local TIMEOUT = 't'
local START = 'b'

-- Flags
local MAY_HAVE_TIMERS = 'p'
local PAUSED = 'h'
local BEFORE_START = 'w'
local WITHOUT_PLACE = 'n' -- it waits for one, see places.lua
local IS_COUNTED = 'a' -- its active tasks are
local GAVE_PLACE_BACK = 'z'
local HELD = '[hwn]' -- nothing of it may start
local NOT_BEGUN = '[wn]'

-- Of a task: the message for its worker; its lane; its dependents, "2,3" (absent: none); its open
-- dependencies (absent: there are less than two, so the first that is satisfied frees it); its state (absent:
-- it was never started); its retry policy and timeouts (absent: none); its failures (absent: none); its
-- progress (absent: none).
local function message_field(task) return 'm' .. task end
local function lane_field(task) return 'l' .. task end
local function dependents_field(task) return 'd' .. task end
local function open_field(task) return 'o' .. task end
local function state_field(task) return 's' .. task end
local function policy_field(task) return 'p' .. task end
local function failures_field(task) return 'x' .. task end
local function progress_field(task) return 'g' .. task end

-- A state is "<status> <attempt> <lost> <lease>"; while a task waits its lease is "-", or "@<ms>" until its
-- retry is due.
local NEVER = '0 0 0 -'
local STATE = '^(%d+) (%d+) (%d+) (.*)$'
local NO_LEASE = '-'
