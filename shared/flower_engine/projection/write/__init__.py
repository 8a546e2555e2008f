"""The projector's path: batches of events become rows of the archive and of the tables."""
