"""What happens: the events of the log, and what each of them means."""
