"""Traces: what became of a flow as spans with exact times, made from its events after the fact."""
