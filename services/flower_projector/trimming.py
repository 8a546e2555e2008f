"""Trimming: drops log entries that are archived, and forgets flows that ended long ago."""

import time
from collections import deque
from collections.abc import Callable

from flower_engine.crash_points import crash_point
from flower_engine.insight.backlog import count_projected, log_size_bytes
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.watcher_transitions import trim

_INTERVAL_SECONDS = 1.0
_MOST_FLOWS = 1_000
_MANY_ENTRIES = 5_000  # Redis drops up to 10,000 in one call, in whole nodes
_MOST_CALLS = 20  # in a row; each blocks Redis for a millisecond or so
_STEPS_OF_TAIL = 100  # how finely the tail is measured


class Trimmer:
    """Trims one partition's log behind what was archived since this was made.

    The tail that stays is the longer of two: so many events, and the events of so many hours before the
    archived position (not before now: an idle log loses nothing). Where the log takes more of Redis' memory
    than it may, even that goes, oldest first. It knows no older positions, and makes none up: what an
    earlier projector left is trimmed with the rest. Each time it also notes how much is projected.
    """

    def __init__(
        self,
        client: AsyncRedis,
        partition: Partition,
        settings: Settings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._partition = partition
        self._tail_events = settings.log_tail_events
        self._tail_ms = int(settings.log_tail_hours * 3_600_000)
        self._ended_keep_ms = int(settings.ended_keep_seconds * 1000)
        self._monotonic = monotonic
        self._tail_bytes = settings.log_tail_mb * 1024 * 1024
        self._due = monotonic()
        self._events = 0
        self._before: int | None = None  # events ever appended that were archived before the first of these
        self._marks: deque[tuple[int, str]] = deque()  # (events archived up to here, position), oldest first
        self._keep_from = "0"

    def archived(self, position: str, events: int) -> None:
        """So many more events are archived, up to this position."""
        self._events += events
        step = self._tail_events // _STEPS_OF_TAIL
        if not self._marks or self._events - self._marks[-1][0] >= step:
            self._marks.append((self._events, position))
        while self._marks and self._events - self._marks[0][0] >= self._tail_events:
            self._keep_from = self._marks.popleft()[1]

    async def run_once(self, position: str) -> None:
        """Trims, where a second has passed since the last time; ``position`` is the archived one.

        Raises:
            LostError: Redis lost its state, or was halted.
        """
        if self._monotonic() < self._due:
            return
        if self._before is None:
            archived = await count_projected(self._client, self._partition, position)
            self._before = archived - self._events
        for _ in range(_MOST_CALLS):
            crash_point("trim.before")
            size_bytes = await log_size_bytes(self._client, self._partition)
            trimmed, forgotten = await trim(
                self._client,
                self._partition,
                keep_from=position if size_bytes > self._tail_bytes else self._tail_from(position),
                archived=position,
                ended_keep_ms=self._ended_keep_ms,
                projected=self._before + self._events,
                most=_MOST_FLOWS,
            )
            crash_point("trim.after")
            if trimmed < _MANY_ENTRIES and forgotten < _MOST_FLOWS:
                break
        self._due = self._monotonic() + _INTERVAL_SECONDS

    def _tail_from(self, position: str) -> str:
        """Where the kept tail begins, with this position archived."""
        if not self._tail_ms:
            return self._keep_from
        by_time = max(0, _ms_of(position) - self._tail_ms)
        return self._keep_from if _ms_of(self._keep_from) < by_time else f"{by_time}-0"


def _ms_of(position: str) -> int:
    return int(position.partition("-")[0])
