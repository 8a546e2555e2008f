"""The tables in Postgres that follow the log, and the archive: how they are made, written and read."""
