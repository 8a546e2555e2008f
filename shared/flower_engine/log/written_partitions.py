"""Which partitions somebody writes to: noted where whoever asks wants to know, for the task that asks."""

import re
from contextvars import ContextVar

WRITTEN: ContextVar[set[int] | None] = ContextVar("written_partitions", default=None)
"""The partitions that transitions were called in; None: nobody wants to know."""

_NUMBER = re.compile(r"\{flower:(\d+)\}")


def note_written(key: str) -> None:
    """A transition is called in the partition of this key."""
    written = WRITTEN.get()
    if written is not None:
        found = _NUMBER.match(key)
        if found is not None:
            written.add(int(found[1]))
