"""The timer loop of one partition: what is due happens, soon after it is due."""

import logging

from flower_engine.crash_points import crash_point
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.watcher_transitions import Fired, fire
from flower_watcher.lapse import interval_seconds, stall_ms
from flower_watcher.looks import Looks

_log = logging.getLogger(__name__)

_LONGEST_SLEEP_SECONDS = 0.2  # a timer may be set meanwhile that is due before the next one known
_MOST_AT_ONCE = 100
_SAID = {
    "attempt-timeout": "flow %s task %d: its attempt took too long",
    "queue-timeout": "flow %s task %d: no worker took it in time, it is suspended",
    "wait-timeout": "flow %s task %d: what it awaited did not come in time",
    "flow-timeout": "flow %s took too long: what ran or was ready is suspended%.0d",
}


class TimerLoop:
    """Moves timers that are due; two watchers move each once."""

    def __init__(
        self, client: AsyncRedis, partition: Partition, settings: Settings, looks: Looks | None = None
    ) -> None:
        self._client = client
        self._looks = looks or Looks(client)
        self._is_busy = False
        self._partition = partition
        self._lease_ms = settings.lease_ms
        self._tick_gap_ms = stall_ms(interval_seconds(settings))

    async def run(self) -> None:
        """Moves timers until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        backoff = StoreBackoff(_log, f"Redis (timers of partition {self._partition.number})")
        name = f"timers of partition {self._partition.number}"
        number = self._partition.number
        await Loop(name, self.run_once, self._until_next, backoff, partition=number).run()

    async def run_once(self) -> Fired:
        """Moves the timers that are due, a bounded number of them."""
        found = await fire(
            self._client if self._is_busy else self._looks.client,
            self._partition,
            lease_ms=self._lease_ms,
            tick_gap_ms=self._tick_gap_ms,
            most=_MOST_AT_ONCE,
        )
        self._is_busy = bool(found.fired)  # then it takes the server longer than others should wait
        if found.fired:
            crash_point("fire.after")
        for what, flow, task in found.fired:
            if what in _SAID:
                _log.warning(_SAID[what], flow, task)
        return found

    def _until_next(self, found: Fired) -> float:
        if found.next_ms is None or found.next_ms > _LONGEST_SLEEP_SECONDS * 1000:
            return self._looks.seconds_until(_LONGEST_SLEEP_SECONDS)
        return found.next_ms / 1000
