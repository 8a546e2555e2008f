"""Benchmarks of Flower: run ``make bench``; results are dated and name their environment."""
