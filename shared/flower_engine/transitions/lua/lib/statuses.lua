-- Statuses of a task as its state and events have them; see tasks/status.py.
-- layer: 1
local WAIT = '0'
local RUNNING = '1'
local SUSPEND = '2'
local FINISH = '3'
local IGNORE = '9'

-- With the kind of an end, in flows with rules
local GIVEN_UP_STATE = '2x'
local NOT_TAKEN_STATE = '9n'
local UNMET_STATE = '9w'
local WITH_RESULT_STATE = '9p'
local CUT_OFF_STATE = '9c'
local UNNEEDED_STATE = '9u'
local VANISHED_STATE = '9v' -- in any flow
local GIVEN_UP = 'x'
local NOT_TAKEN = 'n'
local UNMET = 'w'
local VANISHED = 'v'
local CUT_OFF = 'c'
local UNNEEDED = 'u'
