"""The projector: from the log to Postgres."""
