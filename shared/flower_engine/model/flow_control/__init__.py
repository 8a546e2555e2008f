"""Limits, rates, weights and pauses: their names, and the lanes that they hold back."""
