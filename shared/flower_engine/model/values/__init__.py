"""Plain values, and words about them: ids, times, positions, JSON of bounded size. Knows of no task."""
