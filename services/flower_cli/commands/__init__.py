"""The commands, one subject a file: most talk to the HTTP API, from any machine; recover, replay, verify,
prune and the consoles work on the stores themselves."""
