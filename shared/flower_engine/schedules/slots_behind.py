"""The slots behind a cursor, looked up once if there are few: then a look at a schedule is one walk."""

from bisect import bisect_left, bisect_right

from flower_engine.model.values.times import LATEST_MS
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slot_ids import jitter_ms
from flower_engine.schedules.slots import count_slots, next_slot, previous_slot, slots_before

_FEW = 64


class SlotsBehind:
    """Answers as ``slots.py`` does; of slots up to ``cursor`` it knows nothing."""

    def __init__(self, schedule: Schedule, cursor: int, now: int) -> None:
        self._schedule, self._cursor = schedule, cursor
        self._known: list[int] = []  # all slots behind the cursor and before the end
        for slot in schedule.timing.ascending(cursor, LATEST_MS):
            self._known.append(slot)
            if slot > now or len(self._known) == _FEW:
                self._end = slot + 1
                break
        else:
            self._end = LATEST_MS + 1  # there are no more

    def next(self, after: int) -> int | None:
        """The first slot after a moment that is not before the cursor."""
        index = bisect_right(self._known, after)
        return self._known[index] if index < len(self._known) else next_slot(self._schedule, after)

    def previous(self, before: int) -> int | None:
        """The last slot before a moment; None: there is none behind the cursor."""
        if self._is_known(before):
            index = bisect_left(self._known, before)
            return self._known[index - 1] if index else None
        found = previous_slot(self._schedule, before)
        return found if found is not None and found > self._cursor else None

    def newest(self, until: int, most: int, after: int) -> list[int]:
        """At most so many slots, ``after`` < slot <= ``until``, newest first."""
        if self._is_known(until + 1):
            low, high = bisect_right(self._known, after), bisect_right(self._known, until)
            return self._known[max(low, high - most) : high][::-1]
        return slots_before(self._schedule, after, until, most)

    def count(self, after: int, until: int) -> int:
        """How many there are, ``after`` < slot <= ``until``."""
        if self._is_known(until + 1):
            return bisect_right(self._known, until) - bisect_right(self._known, after)
        return count_slots(self._schedule, after, until)

    def due(self, slot: int) -> int:
        """When the flow of a slot should begin."""
        if not self._schedule.jitter_seconds:
            return slot
        following = self.next(slot)
        gap = None if following is None else following - slot
        return slot + jitter_ms(self._schedule.uid, slot, self._schedule.jitter_seconds, gap)

    def _is_known(self, before: int) -> bool:
        return before <= self._end
