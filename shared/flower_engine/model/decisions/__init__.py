"""Conditions, and the tasks that decide by them."""
