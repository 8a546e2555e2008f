-- The hash of a flow that is under way: what its fields are called and how they are written.
-- needs: base
-- layer: 1

-- Of the flow: its counters, "<version> <tasks not final> <final ones> <order>" and flags, if any, behind
-- them; its active tasks (absent: they are not counted); its timeout in ms (absent: none); its start (only of
-- one that was put back and had ended before it); "<uid> <slot> <slot before> <slot behind>" of the schedule
-- that fired it (absent: none did; times in ms, 0: there is none); the signals that it keeps (absent: none),
-- see signals.lua, and how many it got at least (absent: none since that is counted); tasks that may take
-- signals of a certain type only, "2,3"; items of a map that are not counted yet, see items.lua; what
-- items of maps have in common (absent: none have), see common_fields.lua; how long its cleanup may take,
-- in ms (absent: as cleanup.lua has it); "<flow> <task> <attempt> <trunk>[ <window>]" whose child it is
-- (absent: nobody's; the window is that of a map, see child_windows.lua); "<task> <JSON>" of what it
-- returns then, once that is known (see children.lua); how many rounds its loops had (absent: none), see
-- rounds.lua; "<task> <attempt> <due> <JSON>" of a child that is to have another round: which task asked,
-- by when that begins (0: at once) and what it is given (absent or empty: none did), see next_rounds.lua;
-- "<task>" or "<task> c" while its lanes are emptied: from which one on, and whether one before cleans up,
-- see emptying.lua.
local COUNTERS = 'c'
local ACTIVE = 'a'
local TIMEOUT = 't'
local START = 'b'
local SCHEDULE = 'S'
local SIGNALS = 'Q'
local SIGNALS_GOT = 'I'
local TYPED = 'E'
local STAGED = 'Z'
local COMMON = 'M'
local CLEANUP = 'T'
local PARENT = 'P'
local RETURNED = 'R'
local ROUNDS = 'N'
local AGAIN = 'A'
local EMPTIED = 'L'

-- Flags
local MAY_HAVE_TIMERS = 'p'
local PAUSED = 'h'
local BEFORE_START = 'w'
local WITHOUT_PLACE = 'n' -- it waits for one, see places.lua
local IS_COUNTED = 'a' -- its active tasks are
local GAVE_PLACE_BACK = 'z'
local EMPTYING = 'l' -- its tasks leave their lanes, as it is to end, see emptying.lua
local HAS_DATA = 'd(%d+)' -- a task of it reads another; behind it stands how many bytes of results it keeps
local function data_flag(bytes) return 'd' .. bytes end
local OF_SCHEDULE = 's' -- a schedule fired it, and it goes on as far as that knows (and is counted)
local STOPPED = 'S' -- a schedule fired it, and knows that nothing of it goes on
local EITHER_OF_SCHEDULE = '[sS]'
local IS_CHILD = 'k' -- a task of another flow awaits it, and it goes on as far as that knows (and is counted)
local CHILD_STOPPED = 'K' -- the same, and that task knows that nothing of it goes on
local EITHER_CHILD = '[kK]'
local IN_WINDOW = 'v' -- a child that needs a place in the window of a map, see child_windows.lua
local RETURNS = 'y' -- it is to return something: a task of it says what
local COUNTS_ACTIVE = '[asSkK]'
local IS_TOLD_OF = '[sSkK]'
local HAS_RULES = 'r' -- its tasks have rules, or say what follows a failure; see edges.lua
local HAS_GIVEN_UP = 'x' -- a task of it is given up
local CANCELS_OTHERS = 'o' -- a join of it cancels what it alone needed, see unneeded.lua
local HAS_ITEMS = 'm' -- a map of it was expanded, see items.lua
-- Of one that has items: how many tasks it was registered with, how many of these are final, and how many
-- were final in all when that was counted (another number of these: an older version has not counted on).
local COUNTS_STEPS = 'i(%d+)%.(%d+)%.(%d+)'
local function steps_flag(defined, steps, done) return 'i' .. defined .. '.' .. steps .. '.' .. done end
local ENDING_BY_CANCEL = 'e' -- all that is left of it is its cleanup, see cleanup.lua
local ENDING_BY_TIMEOUT = 'E'
local ENDING_BY_AGAIN = 'g' -- a task of it asked for another round of it
local ENDING = '[eEg]'
local HELD = '[hwnl]' -- nothing of it is pushed
local NOT_BEGUN = '[wn]'
local MAY_TICK = '[pweEgl]' -- there may be a timer of the flow itself

-- Of a task: the message for its worker; its lane; its dependents, "2,3" (absent: none), and, where the flow
-- has data, behind them what it reads (see links_of); its open dependencies (absent: there are less than two,
-- so the first that is satisfied frees it); its state (absent: it was never started); its retry policy and
-- timeouts (absent: none); its failures (absent: none); its progress (absent: none); "<round> <JSON>" of the
-- parameters that hold in it (absent: its program asked for none), see rounds.lua. Where the flow has data:
-- how many tasks that are not final read its result, and the bytes of that if it is kept, "3" or "3 17"
-- (absent or "0": none does); the result that is kept, "=" and its JSON or "@" and that of a BlobRef (absent
-- or empty: it is not). Of one that waits for the world: what it waits for, see waits.lua; the names that
-- have answered it, as JSON texts with commas (absent: none). Where the flow has rules: its own, and what
-- follows its failure (absent: "ready", held; definitions/task_rules.py); how its dependencies stand
-- (absent: none has ended; see edges.lua); those of its dependents that start when it fails, "2,3" (absent:
-- none); in a flow that was put back, when it is given up; where joins cancel others, whom it waits for by
-- its definition, "2,3" (absent: nobody). Of a map: the first of its items and how many they
-- are, "5 100", and behind that the map that they go along, if they do (absent: it is to be expanded); of one
-- that is to be expanded, and matched with the items that it had, these (JSON, maps/earlier_items.py; absent:
-- it is not). Where a map has items: why one was given up, as JSON text.
local function message_field(task) return 'm' .. task end
local function lane_field(task) return 'l' .. task end
local function dependents_field(task) return 'd' .. task end
local function open_field(task) return 'o' .. task end
local function state_field(task) return 's' .. task end
local function policy_field(task) return 'p' .. task end
local function failures_field(task) return 'x' .. task end
local function progress_field(task) return 'g' .. task end
local function round_field(task) return 'n' .. task end
local function readers_field(task) return 'u' .. task end
local function result_field(task) return 'r' .. task end
local function wait_field(task) return 'w' .. task end
local function votes_field(task) return 'v' .. task end
local function signal_field(number) return 'q' .. number end
local function signal_id_field(id) return 'i' .. id end
local function rules_field(task) return 'y' .. task end
local function edges_field(task) return 'e' .. task end
local function watchers_field(task) return 'f' .. task end
local function given_up_field(task) return 'h' .. task end
local function before_field(task) return 'c' .. task end
local function items_field(task) return 'k' .. task end
local function earlier_field(task) return 'j' .. task end
local function reason_field(task) return 'z' .. task end

-- A state is "<status> <attempt> <lost> <lease>"; while a task waits its lease is "-", "@<ms>" until its
-- retry or its round is due, or what it awaits of the world, see awaiting.lua. In a flow with rules the kind
-- of an end stands behind the status (tasks/end_kinds.py): "9n", "9c", "2x", and "9p" where somebody passed
-- over it and gave a result; a "9" alone: without one.
local NEVER = '0 0 0 -'
local STATE = '^(%d+)%a? (%d+) (%d+) (.*)$'
local KIND = '^%d+(%a)'
local NO_LEASE = '-'

-- A task's dependents taken apart: "2,3" (nil: none); the tasks whose results it reads, "2,3?" (nil: none;
-- "?": it can do without; "5-8?": the items of a map); whether the message of a dependent is long, as that
-- reads very many (then it is left to the claim). The text is "<dependents>", or of a flow with data
-- "<dependents><<reads>", with "!" for long.
local function links_of(text)
  local at = text and string.find(text, '<', 1, true)
  if not at then
    return text or nil
  end
  local is_long = string.byte(text, -1) == 33
  local reads = sub(text, at + 1, is_long and -2 or -1)
  return at > 1 and sub(text, 1, at - 1) or nil, reads ~= '' and reads or nil, is_long
end
