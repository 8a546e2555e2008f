"""A worker's slots: how many tasks it may take now, and of which kind, dealt evenly to partitions.

There are slots for all tasks, and among those a few for tasks that need a process. A worker takes no more
such tasks than it has processes: others would wait here while another worker has a free one.
"""

from collections.abc import Callable, Sequence
from enum import Enum

import msgspec


class Ask(msgspec.Struct, frozen=True):
    """What a claim may ask for."""

    wanted: int
    kind: "AskKind"


class SlotsNow(msgspec.Struct, frozen=True):
    """What the slots of a worker do: ``busy`` with attempts, or ``stuck`` with what nothing can stop; and how
    many of ``processes`` attempts have (``busy_processes``)."""

    slots: int
    busy: int
    stuck: int
    processes: int
    busy_processes: int


class AskKind(Enum):
    """Which programs a claim names."""

    ALL = "all"
    LIGHT = "light"  # those that need no process
    HEAVY = "heavy"  # those that need one


class SlotUse:
    """What one partition uses of the slots, and whether it may have more tasks ready."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """``wake`` is called when slots became free that this partition may want."""
        self.wake = wake
        self.used = 0  # attempts that run or whose outcome is not sent yet, and what a call has asked for
        self.heavy_used = 0
        self.due = True  # a claim of light programs may find something
        self.heavy_due = True
        self.deaf = False  # it knows of no task and could not wait for a bell, as no slot was free
        self.served = 0  # when it last asked, as a count of all asks
        self.asked_heavy = False  # the last ask was for heavy programs only


class Slots:
    """All slots of a worker."""

    def __init__(self, slots: int, processes: int) -> None:
        """``processes`` is 0 for a worker that serves no program that needs one."""
        self.slots = slots
        self.processes = processes
        self.processes_now = processes  # fewer while no more can be started
        self._uses: list[SlotUse] = []
        self._asks = 0

    def add(self, use: SlotUse) -> None:
        """Makes a partition one of those that slots are dealt to."""
        self._uses.append(use)

    def remove(self, use: SlotUse) -> None:
        """It is none of them any more, and uses none."""
        if use in self._uses:
            self._uses.remove(use)

    def free(self, use: SlotUse) -> int:
        """How many tasks this partition may take now."""
        free = self.slots - sum(other.used for other in self._uses)
        rivals = [other for other in self._uses if other is not use and (other.due or other.heavy_due)]
        if not rivals:
            return free
        return _dealt(free, (use.used, use.served), [(rival.used, rival.served) for rival in rivals])

    def room(self, use: SlotUse) -> int:
        """How many tasks that need a process this partition may take now."""
        if not self.processes:
            return 0
        free = self.processes_now - sum(other.heavy_used for other in self._uses)
        rivals = [other for other in self._uses if other is not use and other.heavy_due]
        if not rivals:
            return free
        mine = (use.heavy_used, use.served)
        return _dealt(free, mine, [(rival.heavy_used, rival.served) for rival in rivals])

    def ask(self, use: SlotUse) -> Ask | None:
        """What the partition's next claim may ask for; None when it must not claim now."""
        free = self.free(use)
        room = min(free, self.room(use)) if use.heavy_due else 0
        if room and (not use.due or (room < free and not use.asked_heavy)):
            ask = Ask(room, AskKind.HEAVY)
        elif free and use.due:
            ask = Ask(free, AskKind.ALL if not self.processes or room == free else AskKind.LIGHT)
        else:
            return None
        self._asks += 1
        use.served = self._asks
        use.asked_heavy = ask.kind is AskKind.HEAVY
        return ask

    def wake_rivals(self, use: SlotUse) -> None:
        """Tells the other partitions that slots may be free."""
        if len(self._uses) > 1 or use not in self._uses:
            for other in self._uses:
                if other is not use and (other.due or other.heavy_due or other.deaf):
                    other.deaf = False
                    other.wake()


def _dealt(free: int, mine: tuple[int, int], rivals: Sequence[tuple[int, int]]) -> int:
    """How many of the free slots come to me if they are dealt one by one to whoever uses the least.

    Everybody is (used, served); among those who use the same, who was served longest ago comes first.
    """
    if free <= 0:
        return 0
    everybody = sorted([mine, *rivals])
    level, members, left = everybody[0][0], 1, free
    while members < len(everybody):
        lift = (everybody[members][0] - level) * members
        if lift > left:
            break
        left -= lift
        level = everybody[members][0]
        members += 1
    used, served = mine
    if used > level:
        return 0
    level += left // members
    first = sorted(other_served for _, other_served in everybody[:members])[: left % members]
    return level - used + (served in first)
