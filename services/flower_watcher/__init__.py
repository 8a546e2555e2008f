"""The watcher: ends the leases of lost workers and forgets those workers. Several may run at once."""
