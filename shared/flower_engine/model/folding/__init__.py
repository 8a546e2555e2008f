"""What events add up to: the state of a flow, the oracle that the Lua scripts are held against."""
