"""Hooks: who is told when something becomes of flows. Pure but for the registry of Python hooks."""
