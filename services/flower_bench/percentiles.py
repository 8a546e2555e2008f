"""Percentiles by the nearest rank: each is a value that was measured."""

import math
from collections.abc import Sequence

PERCENTILES = (50.0, 99.0, 99.9)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest of the values, given in order, that at least so many per cent do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
