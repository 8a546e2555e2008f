"""A flow that is watched: how it stands, which tasks changed when, and the frames that tell it.

However many watch a flow, its events are read and folded once. Whoever is slow gets what changed since the
last frame that was taken, in one: there is nothing that could pile up.
"""

import re
from collections import deque
from typing import NamedTuple

import msgspec

from flower_engine.model.events.events import AnyEvent
from flower_engine.model.folding.flow_table import FlowTable, TaskRow
from flower_engine.model.values.positions import as_numbers

_KEPT_CHANGES = 240  # of a minute, at four a second

COLUMNS = tuple(re.sub(r"_(\w)", lambda found: found[1].upper(), name) for name in TaskRow.__struct_fields__)
"""The names of what a row has, in its order."""

FIRST = "0-0"
"""The position before all events."""


class Frame(NamedTuple):
    """What somebody who watches is told: ``table`` is the whole flow, ``changes`` are rows that replace
    others. ``data`` is JSON; ``position`` is that of the last event that is in it."""

    kind: str
    position: str
    data: bytes


class _Change(NamedTuple):
    number: int
    before: str
    tasks: set[int] | None


class WatchedFlow:
    """How a flow stands, and what changed of late."""

    def __init__(self, flow: str) -> None:
        self.flow = flow
        self.position = FIRST
        self.number = 0  # of the last change
        self.table = FlowTable()
        self._changes: deque[_Change] = deque(maxlen=_KEPT_CHANGES)
        self._frames: dict[int, Frame] = {}
        self._pending_from: str | None = None  # where the change under way begins

    def add(self, position: str, event: AnyEvent) -> None:
        """The flow's next event; raises as ``FlowTable.add`` does."""
        self.table.add(event)
        if self._pending_from is None:
            self._pending_from = self.position
        self.position = position

    def settle(self) -> None:
        """What was added is one change."""
        changed = self.table.take()
        self.number += 1
        self._changes.append(_Change(self.number, self._pending_from or FIRST, changed))
        self._pending_from = None
        self._frames.clear()

    def frame_after(self, number: int) -> Frame:
        """What changed behind the change of this number; 0: everything."""
        frame = self._frames.get(number)
        if frame is None:
            frame = self._frames[number] = self.frame_of(self.tasks_after(number))
        return frame

    def number_at(self, position: str) -> int | None:
        """The number of the change behind which somebody goes on who has seen the events up to a position;
        None: that is not known any more."""
        if position == self.position:
            return self.number
        for change in reversed(self._changes):
            if as_numbers(change.before) <= as_numbers(position):
                is_known = as_numbers(position) <= as_numbers(self.position)
                return change.number - 1 if is_known and change.number > 1 else None
        return None

    def frame_of(self, tasks: set[int] | None) -> Frame:
        """These tasks as they stand now; None: all of them, and what was planned."""
        table = self.table
        if tasks is None:
            told = {"columns": COLUMNS, "plan": table.plan(), "flow": table.flow(), "rows": table.rows()}
            return Frame("table", self.position, _encode(told))
        return Frame("changes", self.position, _encode({"flow": table.flow(), "rows": table.rows(tasks)}))

    def tasks_after(self, number: int) -> set[int] | None:
        """The tasks that changed behind the change of this number; None: all, or more than is known."""
        behind = [change for change in self._changes if change.number > number]
        if number <= 0 or not behind or behind[0].number != number + 1:
            return None if number < self.number else set()
        tasks: set[int] = set()
        for change in behind:
            if change.tasks is None:
                return None
            tasks |= change.tasks
        return tasks


_encode = msgspec.json.Encoder().encode
