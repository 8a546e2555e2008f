"""The pure heart of Flower: definitions, plans, events and the fold; no I/O, clock or randomness."""
