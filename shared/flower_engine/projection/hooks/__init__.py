"""Hooks in Postgres: their table, the ledger of deliveries, and what is late."""
