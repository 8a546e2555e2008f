"""The lapse loop of one partition: leases without a heartbeat end, and their tasks wait for a new attempt."""

import logging

from flower_engine.crash_points import crash_point
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.watcher_transitions import Lapse, lapse, queues_of
from flower_watcher.looks import Looks

_log = logging.getLogger(__name__)

_LONGEST_INTERVAL_SECONDS = 0.5
_LOOKS_A_LEASE = 8  # so that a task of a lost worker waits little longer than the lease time
_LOOKS_A_LIST = _LOOKS_A_LEASE // 2  # a queue that is new has no lease that could have lapsed sooner
_INTERVALS_TO_A_STALL = 4
_MOST_AT_ONCE = 100


def interval_seconds(settings: Settings) -> float:
    """How often a watcher looks for lapsed leases."""
    return min(_LONGEST_INTERVAL_SECONDS, settings.lease_seconds / _LOOKS_A_LEASE)


def stall_ms(interval_seconds: float) -> int:
    """How long nobody may have looked before that counts as a stall."""
    return int(interval_seconds * _INTERVALS_TO_A_STALL * 1000)


class LapseLoop:
    """Looks for lapsed leases, often enough that a longer silence means a stall of Redis or of everything."""

    def __init__(
        self, client: AsyncRedis, partition: Partition, settings: Settings, looks: Looks | None = None
    ) -> None:
        self._client = client
        self._looks = looks or Looks(client)
        self._partition = partition
        self._settings = settings
        self.interval_seconds = interval_seconds(settings)
        self._stalled = False
        self._queues: list[str] = []
        self._count = 0  # of looks

    async def run(self) -> None:
        """Looks until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        backoff = StoreBackoff(_log, f"Redis (partition {self._partition.number})")
        name = f"lapse of partition {self._partition.number}"
        number = self._partition.number
        await Loop(name, self.run_once, self._interval_after, backoff, partition=number).run()

    async def run_once(self) -> list[Lapse]:
        """Ends the leases that have lapsed; none for one lease time after a stall."""
        if self._count % _LOOKS_A_LIST == 0:
            self._queues = await queues_of(self._client, self._partition)
        self._count += 1
        crash_point("lapse.before")
        found = await lapse(
            self._looks.client,
            self._partition,
            queues=self._queues,
            lease_ms=self._settings.lease_ms,
            tick_gap_ms=stall_ms(self.interval_seconds),
            max_lost=self._settings.max_lost,
            most=_MOST_AT_ONCE,
        )
        if found.lapses:
            crash_point("lapse.after")
        self._say_stall(found.stalled_ms)
        for ended in found.lapses:
            _log.warning(
                "flow %s task %d: worker %s was lost (no heartbeat for %g s); %s",
                ended.flow,
                ended.task,
                ended.worker,
                self._settings.lease_seconds,
                "suspended as poison" if ended.suspended else "it waits for a new attempt",
            )
        return found.lapses

    def _interval_after(self, ended: list[Lapse]) -> float:
        if len(ended) == _MOST_AT_ONCE:
            return 0.0
        return self._looks.seconds_until(self.interval_seconds)

    def _say_stall(self, stalled_ms: int) -> None:
        if stalled_ms and not self._stalled:
            _log.info(
                "nobody watched partition %d for a while, or Redis stood still: no lease lapses for %.1f s",
                self._partition.number,
                stalled_ms / 1000,
            )
        self._stalled = stalled_ms > 0
