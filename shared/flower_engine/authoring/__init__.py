"""Workflows written in Python: their bodies run once, and what they say becomes a definition."""
