"""The watcher: ends the leases of lost workers, moves timers that are due, forgets lost workers. Several may
run at once."""
