"""Workflows as people define them, what can be wrong with them, and the plan that a flow follows."""
