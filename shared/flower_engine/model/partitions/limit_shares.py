"""Shares of a limit: each partition may use its own, and control lends by demand what others do not use.

A share says how much may run (or start, or be under way) in a partition. What is used may be more than the
share for a while, as what runs is not ended when a share shrinks; so what a partition takes up of the limit
is the greater of both. Nothing new begins above a share, therefore this never rises unless a share is raised,
and shares are raised only within what is free: the sum never exceeds the limit, wherever whoever lends is
stopped. Who lends first shrinks, then looks again, then raises.
"""

from collections.abc import Mapping, Sequence

import msgspec


class Seat(msgspec.Struct, frozen=True):
    """How one partition stands: what it may use, what it uses, and whether more waits there."""

    share: int
    used: int
    waits: bool

    @property
    def taken(self) -> int:
        """What it takes up of the limit."""
        return max(self.share, self.used)


def first_share(limit: int, partition: int, partitions: int) -> int:
    """What a partition begins with where nobody holds the limit yet: an equal part."""
    return limit // partitions + (partition < limit % partitions)


def kept_for_away(total: int, seats: Mapping[int, Seat]) -> int:
    """The most that partitions may take up of a limit which are not among these: ``total`` is what was shared
    by all of them."""
    return max(0, total - sum(seat.share for seat in seats.values()))


def wanted(limit: int, seats: Mapping[int, Seat], turn: int = 0) -> dict[int, int]:
    """What each partition should have of so much, all together at most that.

    Where nothing waits a partition keeps what it uses, and one unit at least if the limit gives two to each,
    so that the first task there need not wait. The rest is dealt evenly to those where something waits. Where
    that is not one for each, those come first that use nothing, and among them whose ``turn`` it is.
    """
    reserve = 1 if limit >= 2 * len(seats) else 0
    waiting = [number for number, seat in seats.items() if seat.waits]
    found: dict[int, int] = {}
    left = limit
    for number, seat in sorted(seats.items()):
        if not seat.waits:
            found[number] = min(left, max(seat.used, reserve))
            left -= found[number]
    if not waiting:
        for number, seat in sorted(seats.items()):  # nobody needs what is free: it stays where it is
            more = min(left, max(0, seat.share - found[number]))
            found[number] += more
            left -= more
        waiting = sorted(seats, key=lambda number: found[number])
        return found | _dealt(left, waiting, found)
    if left < len(waiting):
        numbers = sorted(seats)
        begin = numbers[turn % len(numbers)]
        waiting.sort(key=lambda number: (seats[number].used > 0, number < begin, number))
    return found | _dealt(left, waiting, {})


def _dealt(left: int, numbers: Sequence[int], before: Mapping[int, int]) -> dict[int, int]:
    each, more = divmod(left, len(numbers))
    return {number: before.get(number, 0) + each + (place < more) for place, number in enumerate(numbers)}


def lowered(seats: Mapping[int, Seat], wanted: Mapping[int, int]) -> dict[int, int]:
    """The shares that are to shrink first."""
    return {number: want for number, want in wanted.items() if want < seats[number].share}


def raised(limit: int, seats: Mapping[int, Seat], wanted: Mapping[int, int]) -> dict[int, int]:
    """The shares that may be raised now, as they stand after others were lowered: within what is free."""
    free = limit - sum(seat.taken for seat in seats.values())
    found: dict[int, int] = {}
    for number, seat in sorted(seats.items()):
        want = wanted[number]
        if want <= seat.share:
            continue
        share = min(want, seat.taken + max(0, free))
        free -= max(0, share - seat.taken)
        if share > seat.share:
            found[number] = share
    return found
