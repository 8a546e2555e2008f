"""What the engine can do with flows: register, find, explain, operate, fork, look back. It knows no HTTP."""
