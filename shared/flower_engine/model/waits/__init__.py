"""Tasks that wait for the world: sleeps, signals, approvals."""
