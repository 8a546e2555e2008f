"""Events as they lie in the log: one to an entry, or several packed into one (see ``lua/lib/events.lua``)."""

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from flower_engine.model.values.positions import as_numbers

PACK_EVENTS = 64
"""Most events of an entry."""
Found = tuple[bytes, dict[bytes, bytes]]
"""An entry as redis-py returns it: its id and its fields."""


class LogEntry(msgspec.Struct, frozen=True, gc=False):
    """One event as it lies in the log: its position ("<ms>-<n>") and its JSON.

    ``raw`` is empty where somebody else wrote an entry without an event.
    """

    position: str
    raw: bytes


def unpack(found: Iterable[Found]) -> list[LogEntry]:
    """The events of entries, in order. An entry that does not hold what it says is one event."""
    entries: list[LogEntry] = []
    for at, fields in found:
        raw, sizes = fields.get(b"e", b""), fields.get(b"n")
        ends = _ends(sizes) if sizes else []
        if len(ends) > 1 and ends[-1] == len(raw):
            ms, last = as_numbers(at.decode())
            first = last - len(ends) + 2
            entries += [
                LogEntry(f"{ms}-{first + index}", raw[begin:end])
                for index, (begin, end) in enumerate(pairwise(ends))
            ]
        else:
            entries.append(LogEntry(at.decode(), raw))
    return entries


def _ends(sizes: bytes) -> list[int]:
    """Where the events of "<bytes,...>" begin, and the last one ends; [] where that is not what it says."""
    total, ends = 0, [0]
    try:
        for size in sizes.split(b","):
            total += int(size)
            ends.append(total)
    except ValueError:
        return []
    return ends
