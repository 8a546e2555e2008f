"""What is measured: one kind of load a file."""
