"""What becomes of slots: proposed by whoever looks, decided by the transition that it is sent to.

A slot's time comes at its slot and jitter. From then on, whoever looks at the schedule, and however late,
proposes a fate for every slot whose time has come, oldest first:

1. **Paused** (``is_paused``, or the slot was before ``unpaused_ms``): skipped (``paused``), in ranges; a
   paused schedule is looked at ever less often: after twice as long as the range is, ten minutes at least and
   an hour at most.
2. **Held** (the overlap queue made it wait): fired, however late. With ``queue`` and ``strict`` that goes for
   everything that came since; with ``queue_one`` what came since is skipped (``overlap``).
3. **On time** (its time came at most 30 s ago): fired.
4. **Late** (nobody looked for longer). The schedule's catch-up says what becomes of it:

   * ``latest``: if nothing came after it, it is fired; else it is missed (``superseded``).
   * ``all``: fired, if it is one of the newest ``max_catch_up`` late ones; else missed (``catch_up``).
   * ``none``: missed (``unwatched``).

   What would be fired but came longer ago than the window is missed (``window``), with what was before it.
   The window is ``window_seconds``; without it, with ``latest``, the time to the next slot, at most a day;
   with ``all`` a day, as in one interval there would be but one slot to catch up.

Late slots are fired one a look, and the next look is a second later, or half an interval if that is less:
so they are done before as many new ones have come, and no outage is followed by a stampede. Slots behind
them wait for them: a schedule's flows begin in the order of its slots.

A look costs what it proposes, not what was missed: a schedule of every second that nobody watched for a
year is one range.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from flower_engine.model.values.times import EARLIEST_MS, LATEST_MS
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slots_behind import SlotsBehind

LATE_MS = 30_000
PAUSED_LOOK_MS = 600_000
PAUSED_REST_MS = 3_600_000
SPREAD_MS = 1_000
DAY_MS = 86_400_000
MOST = 1_000


class Decide(msgspec.Struct, frozen=True):
    """The fate proposed for slots in a row: from ``first`` to ``last``, ``count`` of them; a fire is of one.

    ``due_ms`` is when the last of them was to begin: its slot and its jitter.
    """

    kind: Literal["miss", "skip", "fire"]
    first: int
    last: int
    count: int
    due_ms: int
    reason: str = ""


class Proposal(msgspec.Struct, frozen=True):
    """The decisions, oldest first and without a gap, and when to look again."""

    decisions: tuple[Decide, ...]
    next_due_ms: int | None
    """None: there is no slot any more. Not after ``now_ms``: there is more to decide, look again at once."""
    come_ms: int | None = None
    """The newest slot behind the cursor whose time has come, decided here or not; None: there is none."""


def decisions(
    schedule: Schedule,
    cursor_ms: int,
    now_ms: int,
    held: int | None = None,
    most: int = MOST,
    *,
    fired_ms: int | None = None,
    unpaused_ms: int | None = None,
) -> Proposal:
    """What is to become of the slots behind the cursor whose time has come at ``now_ms``; at most about so
    many decisions.

    ``held`` is the oldest slot that an overlap queue made wait, or the newest of several; None, or not behind
    the cursor: none waits. ``fired_ms`` is when the schedule's last flow was registered: late slots keep
    their distance from it, however often somebody looks. ``unpaused_ms`` is when a pause of the schedule
    ended last. The same arguments give the same proposal; asked for a moment to come (``now_ms`` ahead of
    the clock), it says what is to be done then. A schedule with a problem has no slots: nothing is decided.
    """
    return _Look(schedule, cursor_ms, now_ms, most).proposal(held, fired_ms, unpaused_ms)


class _Look:
    def __init__(self, schedule: Schedule, cursor: int, now: int, most: int) -> None:
        self._schedule, self._now, self._most = schedule, min(now, LATEST_MS), most
        self._cursor = max(cursor, EARLIEST_MS - 1)
        self._slots = SlotsBehind(schedule, self._cursor, self._now)
        self._decided: list[Decide] = []
        self._come = self._newest_come()

    def proposal(self, held: int | None, fired: int | None, unpaused: int | None) -> Proposal:
        come = self._come
        if come is None:
            return Proposal((), self._next_due())
        if self._schedule.is_paused:
            begin = self._slots.next(self._cursor)
            self._range("skip", come, "paused")
            due = self._next_due()
            rest = min(max(PAUSED_LOOK_MS, 2 * (come - (begin or come))), PAUSED_REST_MS)
            return self._proposed(None if due is None else max(due, self._now + rest))
        if unpaused is not None and self._cursor < unpaused:
            self._range("skip", min(unpaused, come), "paused")
        if held is not None and self._cursor < held:
            self._fire_held(held)
        wait = self._catch_up(fired)
        return self._proposed(self._next_due() if wait is None else wait)

    def _proposed(self, next_due: int | None) -> Proposal:
        return Proposal(tuple(self._decided), next_due, self._come)

    def _newest_come(self) -> int | None:
        """Only the newest slot may still have its jitter before it: that is less than the way to the next."""
        for slot in self._slots.newest(self._now, 2, self._cursor):
            if self._slots.due(slot) <= self._now:
                return slot
        return None

    def _next_due(self) -> int | None:
        following = self._slots.next(self._cursor)
        return None if following is None else self._slots.due(following)

    def _range(self, kind: Literal["miss", "skip"], last: int, reason: str) -> None:
        """Decides everything up to a moment in one range, if there is anything."""
        count = self._slots.count(self._cursor, last)
        if count:
            begin = self._slots.next(self._cursor)
            end = self._slots.previous(last + 1)
            assert begin is not None and end is not None
            due = self._slots.due(end)
            self._decided.append(Decide(kind, begin, end, count, due, reason))
            self._cursor = end

    def _fire(self, slot: int) -> None:
        self._decided.append(Decide("fire", slot, slot, 1, self._slots.due(slot)))
        self._cursor = slot

    def _waiting(self, until: int) -> Iterator[int]:
        """The slots up to a moment, one after another, as long as something may still be decided."""
        while len(self._decided) < self._most:
            slot = self._slots.next(self._cursor)
            if slot is None or slot > until:
                return
            yield slot

    def _fire_held(self, held: int) -> None:
        overlap, come = self._schedule.overlap, self._come
        assert come is not None
        for slot in self._waiting(come if overlap in ("queue", "strict") else min(held, come)):
            self._fire(slot)
        if overlap == "queue_one" and self._cursor >= min(held, come):
            self._range("skip", come, "overlap")

    def _catch_up(self, fired: int | None) -> int | None:
        """Decides what is left; says when to look again, if there is something that waits."""
        come = self._come
        assert come is not None
        on_time = self._first_due_from(self._now - LATE_MS)
        late = self._slots.previous(come + 1 if on_time is None else min(on_time, come + 1))
        if late is not None and late > self._cursor:
            kept = self._kept(late, come)
            if kept is not None:
                return self._fire_late(kept, late, fired)
        for slot in self._waiting(come):
            self._fire(slot)
        return self._now if self._cursor < come else None

    def _kept(self, late: int, come: int) -> int | None:
        """Decides the late slots that are missed; gives the first that is not."""
        if self._schedule.catch_up == "none":
            self._range("miss", late, "unwatched")
            return None
        if self._schedule.catch_up == "latest":
            if late < come:
                self._range("miss", late, "superseded")
                return None
            return self._latest(late)
        window = self._schedule.window_seconds
        begin = self._first_due_from(self._now - (DAY_MS if window is None else round(window * 1000)))
        self._range("miss", late if begin is None else min(begin - 1, late), "window")
        newest = self._slots.newest(late, self._schedule.max_catch_up, self._cursor)
        if newest:
            self._range("miss", newest[-1] - 1, "catch_up")
        return newest[-1] if newest else None

    def _latest(self, late: int) -> int | None:
        window = self._schedule.window_seconds
        longest = min(self._gap(late), DAY_MS) if window is None else round(window * 1000)
        if self._slots.due(late) + longest < self._now:
            self._range("miss", late, "window")
            return None
        self._range("miss", late - 1, "superseded")
        return late

    def _fire_late(self, slot: int, last: int, fired: int | None) -> int | None:
        spread = min(SPREAD_MS, self._gap(slot) // 2)
        if fired is not None and self._now < fired + spread <= self._now + SPREAD_MS:
            return fired + spread
        self._fire(slot)
        return self._now + spread if slot < (self._come or last) else None

    def _gap(self, slot: int) -> int:
        following = self._slots.next(slot)
        return DAY_MS if following is None else following - slot

    def _first_due_from(self, moment: int) -> int | None:
        """The first slot behind the cursor whose time comes at a moment or later."""
        before = self._slots.previous(moment)
        if before is not None and before > self._cursor and self._slots.due(before) >= moment:
            return before
        return self._slots.next(max(self._cursor, moment - 1))
