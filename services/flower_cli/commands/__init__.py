"""The commands that talk to the HTTP API, from any machine: see flows, operate on them."""
