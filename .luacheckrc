-- For composed transitions, see "make check": what Redis gives a script, and what a transition has of its helpers
-- without a need, because a statement of theirs that it does need makes it.
std = "lua51"
read_globals = { "redis", "KEYS", "ARGV", "cjson" }
max_line_length = false -- a test looks at the files
ignore = {
  "211/.*_mark", "211/current_generation", -- fields of meta are read together
  "231/is_stepped_back", "311/now_ms", -- the time is found out as a whole
  "231/operator", "241/flows", -- kept for others
}
