"""What holds between the fold of a partition's log and what its Redis holds."""
