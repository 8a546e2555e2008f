"""What is done to the tables and the archive as a whole: migrate, replay, compare, prune, recover."""
