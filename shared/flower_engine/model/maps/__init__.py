"""Maps: what one comes to, its items, and the list of their results."""
