"""The tables in Postgres that follow the log: how they are made, written and read."""
