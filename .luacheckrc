-- For the composed scripts (see `make check`): what Redis gives a script. Names are short where that is all.
std = "lua51"
read_globals = { "redis", "KEYS", "ARGV", "cjson" }
max_line_length = false -- of files as they are written a test counts it
ignore = { "211/.*_mark" } -- fields of meta that are read with others
