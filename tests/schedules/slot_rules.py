"""What becomes of slots, slot by slot: the rules once more, without ranges or short cuts."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from flower_engine.schedules.catching_up import Proposal
from flower_engine.schedules.schedule import Schedule

DAY = 86_400_000
LATE = 30_000


class Slot(NamedTuple):
    """A slot, when its time comes, and when the next slot is."""

    at: int
    due: int
    following: int


class Fate(NamedTuple):
    at: int
    kind: str
    reason: str


class Known(NamedTuple):
    """What is known of a schedule besides its definition."""

    cursor: int
    held: int | None = None
    fired: int | None = None
    unpaused: int | None = None


def fates(schedule: Schedule, slots: Sequence[Slot], known: Known, now: int) -> list[Fate]:
    """Of the slots behind the cursor whose time has come, as far as they are decided at once."""
    return list(
        _fates(schedule, [slot for slot in slots if slot.at > known.cursor and slot.due <= now], known, now)
    )


def _fates(schedule: Schedule, come: list[Slot], known: Known, now: int) -> Iterator[Fate]:
    queue = schedule.overlap in ("queue", "strict")
    seen = max(
        (slot.at for slot in come if known.unpaused is not None and slot.at <= known.unpaused), default=0
    )
    is_held = known.held is not None and max(known.cursor, seen) < known.held
    left: list[Slot] = []
    for slot in come:
        if schedule.is_paused or slot.at <= seen:
            yield Fate(slot.at, "skip", "paused")
        elif is_held and known.held is not None and (queue or slot.at <= known.held):
            yield Fate(slot.at, "fire", "")
        elif is_held and schedule.overlap == "queue_one":
            yield Fate(slot.at, "skip", "overlap")
        else:
            left.append(slot)
    yield from _caught_up(schedule, left, known, now)


def _caught_up(schedule: Schedule, left: list[Slot], known: Known, now: int) -> Iterator[Fate]:
    late = [slot for slot in left if slot.due < now - LATE]
    kept = _kept(schedule, late, left, now)
    for slot in late:
        if slot.at in kept:
            spread = min(1_000, (slot.following - slot.at) // 2)
            if known.fired is None or not now < known.fired + spread <= now + 1_000:
                yield Fate(slot.at, "fire", "")
            return
        yield Fate(slot.at, "miss", _reason(schedule, slot, bool(kept) or len(late) < len(left), now))
    for slot in left[len(late) :]:
        yield Fate(slot.at, "fire", "")


def _kept(schedule: Schedule, late: list[Slot], left: list[Slot], now: int) -> set[int]:
    if schedule.catch_up == "none":
        return set()
    within = [slot.at for slot in late if now - slot.due <= _window(schedule, slot)]
    if schedule.catch_up == "all":
        return set(within[-schedule.max_catch_up :])
    return {at for at in within if at == left[-1].at}


def _window(schedule: Schedule, slot: Slot) -> int:
    if schedule.window_seconds is not None:
        return round(schedule.window_seconds * 1000)
    return DAY if schedule.catch_up == "all" else min(DAY, slot.following - slot.at)


def _reason(schedule: Schedule, slot: Slot, is_superseded: bool, now: int) -> str:
    if schedule.catch_up == "none":
        return "unwatched"
    if schedule.catch_up == "latest":
        return "superseded" if is_superseded else "window"
    return "catch_up" if now - slot.due <= _window(schedule, slot) else "window"


def expanded(proposal: Proposal, slots: Sequence[Slot]) -> list[Fate]:
    """A proposal slot by slot; checks that its ranges are what they say they are."""
    found: list[Fate] = []
    for one in proposal.decisions:
        within = [slot for slot in slots if one.first <= slot.at <= one.last]
        assert [within[0].at, within[-1].at, len(within)] == [one.first, one.last, one.count]
        assert within[-1].due == one.due_ms
        assert one.kind != "fire" or one.count == 1
        found += [Fate(slot.at, one.kind, one.reason) for slot in within]
    return found
