"""``make bench`` and measurements for one question each; results are dated and name their environment."""
