"""What live workers say of their programs, read from Redis at most every few seconds.

Parameters are checked against it where they are given. What is a little old may let one pass that no worker
takes any more; before one is refused, it is read anew.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from flower_engine.errors import ParametersError
from flower_engine.insight.published_signatures import (
    hash_of,
    read_published,
    read_signatures,
    served_lately,
)
from flower_engine.log.partition import Partition
from flower_engine.programs.published_program import PublishedProgram
from flower_engine.programs.signature import Signature
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.transitions.worker_transitions import WorkerInfo, live_workers

_KEEP_SECONDS = 5.0
_ANEW_SECONDS = 0.05  # one of a thousand registrations that are refused reads for all
_MOST_SIGNATURES = 10_000

Versions = Mapping[str, Sequence[Signature] | None]
"""Every live version of a program; None: no live worker serves it, or one does not say what it takes."""

Checked = TypeVar("Checked")


class ProgramVersion(msgspec.Struct, frozen=True):
    """A program as some live workers have it. ``hash`` and ``program``: None: these do not say what it is."""

    hash: str | None
    program: PublishedProgram | None
    workers: list[str]


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

    async def served(self) -> dict[str, int | None]:
        """Programs that a worker serves, or served in the last 90 days -> when one published it last, ms;
        None: none has (yet).

        Raises:
            RedisError: Redis cannot be asked.
        """
        live = {program for worker in await self.workers() for program in worker.programs}
        return {**dict.fromkeys(live), **await served_lately(self._redis, self._partitions()[0])}

    async def published(self, programs: Iterable[str]) -> dict[str, list[ProgramVersion]]:
        """The live versions of these programs; that of the worker that began last comes first.

        Raises:
            RedisError: Redis cannot be asked.
        """
        names = set(programs)
        newest_first = sorted(await self.workers(), key=lambda worker: -worker.started_ms)
        by_pair: dict[tuple[str, str], list[str]] = {}
        for worker in newest_first:
            for name in names.intersection(worker.programs):
                by_pair.setdefault((worker.signatures, name), []).append(worker.worker)
        read = await read_published(self._redis, self._partitions()[0], by_pair)
        found: dict[str, dict[str | None, ProgramVersion]] = {name: {} for name in names}
        for pair, workers in by_pair.items():
            program = read.get(pair)
            version = ProgramVersion(None if program is None else hash_of(program), program, [])
            found[pair[1]].setdefault(version.hash, version).workers.extend(workers)
        return {name: list(versions.values()) for name, versions in found.items()}

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
