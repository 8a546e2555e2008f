-- Statuses of a task as its state and events have them; see model/status.py.
-- layer: 1
local WAIT = '0'
local RUNNING = '1'
local SUSPEND = '2'
local FINISH = '3'
local IGNORE = '9'
