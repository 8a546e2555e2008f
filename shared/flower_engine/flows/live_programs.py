"""What live workers say of their programs, read from Redis at most every few seconds.

Parameters are checked against it where they are given. What is a little old may let one pass that no worker
takes any more; before one is refused, it is read anew.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from flower_engine.errors import ParametersError
from flower_engine.insight.published_signatures import read_signatures, served_lately
from flower_engine.log.partition import Partition
from flower_engine.programs.signature import Signature
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.transitions.worker_transitions import WorkerInfo, live_workers

_KEEP_SECONDS = 5.0
_ANEW_SECONDS = 0.05  # one of a thousand registrations that are refused reads for all
_MOST_SIGNATURES = 10_000

Versions = Mapping[str, Sequence[Signature] | None]
"""Every live version of a program; None: no live worker serves it, or one does not say what it takes."""

Checked = TypeVar("Checked")


class Programs:
    """The programs of live workers."""

    def __init__(
        self, redis: Redis, partitions: Callable[[], Sequence[Partition]], *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._redis = redis
        self._partitions = partitions
        self._workers: list[WorkerInfo] = []
        self._clock = clock
        self._read = -math.inf
        self._signatures: dict[tuple[str, str], Signature] = {}

    async def workers(self, *, within_seconds: float = _ANEW_SECONDS) -> list[WorkerInfo]:
        """The live workers, as they were within so many seconds.

        Raises:
            RedisError: Redis cannot be asked.
        """
        if self._clock.monotonic() - self._read > within_seconds:
            self._workers = await live_workers(self._redis, self._partitions()[0])
            self._read = self._clock.monotonic()
        return self._workers

    async def known(self) -> set[str]:
        """Programs that a worker serves, or served in the last 90 days.

        Raises:
            RedisError: Redis cannot be asked.
        """
        lately = await served_lately(self._redis, self._partitions()[0])
        return lately.keys() | {program for worker in await self.workers() for program in worker.programs}

    async def versions(self, programs: Iterable[str], *, anew: bool = False) -> Versions:
        """What these programs take; where Redis cannot be asked nothing is known of any."""
        names = set(programs)
        if not names:
            return {}
        within_seconds = _ANEW_SECONDS if anew else _KEEP_SECONDS
        try:
            workers = await self.workers(within_seconds=within_seconds)
            pairs = {
                (worker.signatures, program)
                for worker in workers
                for program in names.intersection(worker.programs)
            }
            unread = {pair for pair in pairs if pair[0] and pair not in self._signatures}
            if unread:
                if len(self._signatures) > _MOST_SIGNATURES:
                    self._signatures.clear()
                self._signatures |= await read_signatures(self._redis, self._partitions()[0], unread)
        except RedisError:
            return dict.fromkeys(names)
        found: dict[str, list[Signature] | None] = {}
        for name in names:
            known = [self._signatures.get(pair) for pair in pairs if pair[1] == name]
            found[name] = [one for one in known if one is not None] if known and all(known) else None
        return found

    async def checked(self, programs: Iterable[str], check: Callable[[Versions], Checked]) -> Checked:
        """What ``check`` gives; before it refuses anything, it is asked again with what is known anew.

        Raises:
            ParametersError: it refuses.
        """
        names = set(programs)
        try:
            return check(await self.versions(names))
        except ParametersError:
            return check(await self.versions(names, anew=True))
