"""The transitions: Lua that Redis runs as one step each, and one typed Python binding for each caller."""
