"""A program of flows that one version leaves under way and the next one ends."""

import time

from flower_engine import program


@program
def step() -> None:
    """Takes a moment, so that a crash finds many of them under way."""
    time.sleep(0.2)
