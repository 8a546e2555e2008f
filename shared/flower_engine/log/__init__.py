"""The log in Redis: its keys, its entries, and what reads and guards it."""
