"""Pins: flows of a workflow, or those of it with the same key, lie in one partition, where what is limited
for each key, or refused beyond a limit, is counted in one place.

A pin leads to one of the partitions that there were at first, as idempotency keys do: it never leads
elsewhere, whatever is added or retired, so there is no moment at which two partitions count.
"""

import zlib
from collections.abc import Iterable
from typing import Literal, get_args

Pin = Literal["workflow", "key"]
PINS: tuple[str, ...] = get_args(Pin)


def problem_of_pin(pin: str | None) -> str | None:
    """Why this cannot be a workflow's pin."""
    if pin is None or pin in PINS:
        return None
    return f"pin is {pin!r}, which is none of {', '.join(PINS)}; leave it out to spread its flows"


def pinned_by(pin: str | None, workflow: str, keys: Iterable[str]) -> set[str]:
    """By what a flow is pinned whose tasks have these keys of ``limit_by`` ("": none); flows that are pinned
    by the same lie together. Empty: it may lie anywhere. Several: nobody can say where."""
    if pin == "workflow":
        return {workflow}
    if pin == "key":
        return {f"{workflow}/{key}" for key in keys if key}
    return set()


def pinned_partition(pinned_by: str, partitions: int) -> int:
    """The partition (0..partitions - 1) of flows that are pinned by this; ``partitions``: how many there were
    at first."""
    return zlib.crc32(pinned_by.encode()) % partitions
