"""The log and the live state, in Redis: keys, Lua transitions and their Python bindings."""
