"""Counting how long things take, for metrics: cheap where it is done, without any monitoring system."""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

stopwatch = time.perf_counter
"""Seconds since some moment: for measuring how long something takes, on which nothing depends."""


class Tally:
    """A histogram: how many values were at most each bound, and their sum."""

    __slots__ = ("_bounds_ms", "bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """``bounds`` rise; what is above the last one is counted behind it."""
        self.bounds = tuple(bounds)
        self._bounds_ms = tuple(bound * 1000 for bound in bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_ms(self, values: list[int]) -> None:
        """Counts many at once, in milliseconds where the bounds are seconds; below 0 is 0. They are sorted:
        that is a fraction of what it costs to look for the place of each."""
        values.sort()
        counts, below = self.counts, 0
        for index, bound in enumerate(self._bounds_ms):
            if below == len(values):
                break
            upto = bisect_right(values, bound, below)
            counts[index] += upto - below
            below = upto
        counts[-1] += len(values) - below
        first = bisect_left(values, 0) if values and values[0] < 0 else 0  # clocks that went back
        self.total += sum(values[first:]) / 1000

    @property
    def count(self) -> int:
        """How many values it has."""
        return sum(self.counts)


CALL_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Bounds for calls of a store or of the API."""

WORK_SECONDS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    *(60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 86_400.0),
)
"""Bounds for what tasks take, and what they wait."""
