"""What is wrong with an engine, and what to do about it: ``flower doctor``. It changes nothing."""
