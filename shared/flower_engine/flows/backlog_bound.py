"""How far the projection is behind, and refusing registrations when that is too far.

What is registered must become visible before long, and must not fill Redis while Postgres is away.
"""

import logging
from collections.abc import Sequence
from functools import partial

from redis.asyncio import Redis

from flower_engine.errors import ProjectionBehindError
from flower_engine.insight.backlog import Backlog, read_backlogs
from flower_engine.log.partition import Partition
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_MB = 1024 * 1024


class Backlogs:
    """The partitions whose log is further ahead of Postgres than it may be, as of a second ago."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._most = Backlog(settings.max_unprojected_events, settings.max_unprojected_mb * _MB)
        self._over: dict[int, Backlog] = {}

    async def run(self, partitions: Sequence[Partition]) -> None:
        """Looks again and again; while Redis is away, what was seen last holds."""
        backoff = SteadyBackoff(_log, "how far the projection is behind is not known: %s", _LOOK_SECONDS)
        await Loop("backlogs", partial(self.look, partitions), _LOOK_SECONDS, backoff).run()

    async def look(self, partitions: Sequence[Partition]) -> None:
        """Reads every partition's backlog once."""
        found = await read_backlogs(self._redis, partitions)
        over = {
            partition.number: backlog
            for partition, backlog in zip(partitions, found, strict=True)
            if backlog is not None and self._is_too_much(backlog)
        }
        if over and not self._over:
            _log.error("no flows are registered for now: %s", self._words(over))
        if self._over and not over:
            _log.warning("flows are registered again: Postgres has caught up")
        self._over = over

    def _is_too_much(self, backlog: Backlog) -> bool:
        return backlog.events > self._most.events or backlog.size_bytes > self._most.size_bytes

    def is_over(self, partition: int) -> bool:
        """Whether no flow may be registered in the partition now."""
        return partition in self._over

    @property
    def problem(self) -> str | None:
        """What is wrong, for people; None: nothing."""
        return self._words(self._over) if self._over else None

    def refusal(self, partition: int) -> ProjectionBehindError:
        """The answer to a registration in a partition that is over its bound."""
        backlog = self._over[partition]
        return ProjectionBehindError(
            f"{self._words({partition: backlog})}; register again when Postgres and the projector have caught"
            " up (FLOWER_MAX_UNPROJECTED_EVENTS, FLOWER_MAX_UNPROJECTED_MB)",
            partition,
            backlog.events,
            backlog.size_bytes,
        )

    def _words(self, over: dict[int, Backlog]) -> str:
        parts = [
            f"{backlog.events:,} events ({backlog.size_bytes / _MB:,.0f} MB) of partition {number}"
            for number, backlog in over.items()
        ]
        bound = f"{self._most.events:,} events, {self._most.size_bytes // _MB:,} MB"
        return f"{', '.join(parts)} are not in Postgres yet, more than may be ({bound})"
