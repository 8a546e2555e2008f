"""What people ask of the tables: flows, tasks, failures."""
