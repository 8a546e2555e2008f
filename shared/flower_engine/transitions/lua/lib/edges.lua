-- Rules: what becomes of a task that waits, from how its dependencies stand; see tasks/rules.py.
--
-- What became of a dependency is told to its dependents as a kind:
--   f finished   p passed over, with a result   o passed over, without one   n not taken   x given up
--   s held (only those hear of it that start when it fails)   X given up, and was held
--   N not taken, and was held
--   y, z finished, of a decision that came to true, to false
-- A field of a task counts them, "<finished> <passed over> <not taken> <given up> <held> <missing> <used>";
-- held ones only where its rule is "failed". Missing: those that have ended without the value that it cannot
-- do without. Used: for "failed" and "at_least" those that its rule picks, "2,3" ("-": none yet; "!" before
-- them: it has begun). Of a branch a letter stands before them, and its decision is counted nowhere: u nobody
-- knows yet, t it is taken, b it is not, and never will be.
-- needs: base
local EDGES = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%a?)(.*)$'
local NO_EDGES = '0 0 0 0 0 0 -'
local BEGUN = '^!' -- of what is used
-- Rule, how many, on_failure, whose branch it is ("3t": if task 3 says true; "-": of none; "~" behind it: it
-- cancels what only it needed; "!": the task cleans up), its stand-in.
local RULES = '^(%S+) (%d+) (%S+) ([^ !~]+)~?!? (.*)$'
local CANCELS = '^%S+ %d+ %S+ [^ !~]+~'
local CLEANS_UP = '^%S+ %d+ %S+ [^ !]+! '
local NO_RULES = 'ready 0 hold - '
local STARTS = 'start'
local PASSES = 'pass'
local STAYS = 'wait'

local function make_rules()
  local rules_by_text = {} -- {rule, how many, branch}
  local cleaning = {} -- by the text of rules, whether they are those of a cleanup
  local counted_as = { f = 'finished', p = 'passed', o = 'passed', n = 'not_taken',
    N = 'not_taken', x = 'given_up', X = 'given_up', s = 'held', y = 'finished', z = 'finished' }
  local without_value = { o = true, n = true, N = true, x = true, X = true }

  local function edges_of(text)
    local finished, passed, not_taken, given_up, held, missing, gate, used = match(text or NO_EDGES, EDGES)
    return { finished = finished + 0, passed = passed + 0, not_taken = not_taken + 0,
      given_up = given_up + 0, held = held + 0, missing = missing + 0, gate = gate,
      used = used }
  end

  -- The same where none has ended.
  local function no_edges(gate)
    return { finished = 0, passed = 0, not_taken = 0, given_up = 0, held = 0, missing = 0, gate = gate,
      used = '-', left = 0 }
  end

  local function edges_text(edges)
    return digits(edges.finished) .. ' ' .. digits(edges.passed) .. ' ' .. digits(edges.not_taken) .. ' '
      .. digits(edges.given_up) .. ' ' .. digits(edges.held) .. ' ' .. digits(edges.missing) .. ' '
      .. edges.gate .. edges.used
  end

  -- How many dependencies have ended.
  local function count_ended_edges(edges)
    local gates = (edges.gate == 't' or edges.gate == 'b') and 1 or 0
    return edges.finished + edges.passed + edges.not_taken + edges.given_up + gates
  end

  local function decide_without_branch(rule, most, edges, left)
    local used = edges.finished + edges.passed
    if rule == 'ready' then
      if edges.given_up > 0 or edges.missing > 0 then
        return PASSES
      elseif left > 0 then
        return STAYS
      end
      return edges.not_taken > 0 and used == 0 and PASSES or STARTS
    elseif rule == 'finished' then
      if edges.passed > 0 or edges.not_taken > 0 or edges.given_up > 0 then
        return PASSES
      end
      return left > 0 and STAYS or STARTS
    elseif rule == 'tolerated' then
      return (edges.given_up > most or left == 0) and STARTS or STAYS
    elseif rule == 'settled' then
      return left > 0 and STAYS or STARTS
    elseif rule == 'at_least' then
      if used >= most then
        return STARTS
      end
      return used + left >= most and STAYS or PASSES
    end
    if edges.held > 0 or edges.given_up > 0 then
      return STARTS
    end
    return left > 0 and STAYS or PASSES
  end

  -- What becomes of a task that waits and has not begun; `left`: its dependencies that have not ended.
  local function decide_by(rule, most, edges, left)
    if edges.gate == 'b' then
      return PASSES
    elseif edges.gate ~= 'u' then
      return decide_without_branch(rule, most, edges, left)
    end
    local decision = decide_without_branch(rule, most, edges, left - 1)
    return decision == STARTS and STAYS or decision
  end

  -- A rule and how many dependencies it needs, of a task's field.
  -- (Third whose branch it is, "3t" or "3f"; nil: nobody's.)
  local function rule_in(rules)
    local text = rules or NO_RULES
    local found = rules_by_text[text]
    if not found then
      local rule, most, _, branch = match(text, RULES)
      found = { rule, tonumber(most), branch ~= '-' and branch or nil }
      rules_by_text[text] = found
    end
    return found[1], found[2], found[3]
  end

  -- How many a rule picks of its dependencies (0: it takes them all).
  local function picks(rule, most)
    return rule == 'failed' and 1 or rule == 'at_least' and most or 0
  end

  -- Whether a rule may pick a dependency of which this became.
  local function is_picked(rule, kind)
    if rule == 'failed' then
      return kind == 's' or kind == 'x' or kind == 'X'
    end
    return rule == 'at_least' and (counted_as[kind] == 'finished' or counted_as[kind] == 'passed')
  end

  -- Picks a dependency, if the rule wants one more.
  local function pick(edges, rule, most, task)
    local used = edges.used
    if used == '-' then
      edges.used = task
    elseif not match(used, BEGUN) and not string.find(',' .. used .. ',', ',' .. task .. ',', 1, true) then
      local _, count = string.gsub(used, ',', ',')
      if count + 1 < picks(rule, most) then
        edges.used = used .. ',' .. task
      end
    end
  end

  -- Whether a task cannot do without the result of another; `reads` as links_of has it.
  local function needs_value(reads, producer)
    return reads and string.find(',' .. reads .. ',', ',' .. producer .. ',', 1, true) ~= nil
  end

  -- Whose branch a task is, of its field, "3t" or "3f"; nil: nobody's.
  local function branch_in(rules)
    local _, _, branch = rule_in(rules)
    return branch
  end

  -- Whether a task is in a branch of this decision, of its field.
  local function is_branch_of(rules, task)
    local branch = branch_in(rules)
    return branch ~= nil and match(branch, '%d+') == digits(task)
  end

  -- Whether a task cleans up, of its field.
  local function cleans_up(rules)
    local found = cleaning[rules or '']
    if found == nil then
      found = match(rules or '', CLEANS_UP) ~= nil
      cleaning[rules or ''] = found
    end
    return found
  end

  -- Whether a task cancels what only it needed, of its field.
  local function cancels(rules)
    return match(rules or '', CANCELS) ~= nil
  end

  -- Counts one more (`by` 1) that became this, or one less (-1): of a task that is this branch (nil: none)
  -- and reads this (as links_of has it). Returns whether it is the decision of the branch.
  local function add(edges, kind, by, branch, reads, task)
    if branch and sub(branch, 1, -2) == task then
      if kind ~= 's' then
        local is_taken = kind == (sub(branch, -1) == 't' and 'y' or 'z')
        edges.gate = by < 0 and 'u' or is_taken and 't' or 'b'
      end
      return true
    end
    local name = counted_as[kind]
    edges[name] = edges[name] + by
    if without_value[kind] and needs_value(reads, task) then
      edges.missing = edges.missing + by
    end
    return false
  end

  return { edges_of = edges_of, no_edges = no_edges, text = edges_text, count_ended = count_ended_edges,
    decide = decide_by, rule_in = rule_in, picks = picks, is_picked = is_picked, pick = pick, add = add,
    branch_in = branch_in, is_branch_of = is_branch_of, cleans_up = cleans_up, cancels = cancels,
    is_without_value = function(kind) return without_value[kind] end }
end

-- What is done with edges and rules, made when a call first meets a flow that has some.
local known_rules = nil
local function rules_of_edges()
  known_rules = known_rules or make_rules()
  return known_rules
end
