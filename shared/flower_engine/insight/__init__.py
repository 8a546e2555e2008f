"""What Redis holds at this moment, read without changing it."""
