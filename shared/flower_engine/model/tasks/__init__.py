"""What can be said of one task: its fields, statuses, rules, and why an attempt failed."""
