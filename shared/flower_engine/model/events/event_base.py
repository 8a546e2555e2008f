"""What events have in common."""

from collections.abc import Iterator
from itertools import chain

import msgspec

NO_VALUE = msgspec.Raw(b"")
"""Of a field that holds any JSON: it is not there. Only this object is left out when an event is written."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every event carries."""

    at: int


class FlowEvent(Event, frozen=True):
    """What every event of a flow carries."""

    flow: str
    v: int


Ranges = tuple[tuple[int, int], ...]
"""Tasks, as first and last of each run of numbers."""


def numbers_in(ranges: Ranges) -> Iterator[int]:
    """Every task of these runs."""
    return chain.from_iterable(range(first, last + 1) for first, last in ranges)
