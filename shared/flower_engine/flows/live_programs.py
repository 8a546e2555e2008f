"""What live workers say of their programs, read from Redis at most every few seconds; and what is kept of
those that none serves.

Parameters are checked against it where they are given. What is a little old may let one pass that no worker
takes any more; before one is refused, it is read anew.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from flower_engine.errors import FlowerError, ParametersError
from flower_engine.insight.published_signatures import (
    hash_of,
    read_published,
    served_lately,
)
from flower_engine.log.partition import Partition
from flower_engine.programs.published_program import PublishedProgram, SeenProgram
from flower_engine.programs.signature import Signature
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.store_faults import STORE_ERRORS
from flower_engine.transitions.worker_transitions import WorkerInfo, live_workers

_log = logging.getLogger(__name__)
_KEEP_SECONDS = 5.0
_RECORDS_SECONDS = 2.0  # so long answers wait for what is kept: they stand without it
_ANEW_SECONDS = 0.05  # one of a thousand registrations that are refused reads for all
_MOST_SIGNATURES = 2_000

Versions = Mapping[str, Sequence[Signature] | None]
"""Every live version of a program; None: no live worker serves it, or one does not say what it takes."""

Checked = TypeVar("Checked")
T = TypeVar("T")


class ProgramVersion(msgspec.Struct, frozen=True):
    """A program as some live workers have it. ``hash`` and ``program``: None: these do not say what it is."""

    hash: str | None
    program: PublishedProgram | None
    workers: list[str]


class ProgramRecords(Protocol):
    """What is kept of programs, whether or not a worker lives."""

    async def last_seen(self) -> Mapping[str, int]:
        """When a live worker had each program last, ms."""
        ...

    async def versions(self, program: str) -> Sequence[SeenProgram]:
        """The versions of a program, the one that was seen last first."""
        ...


class Programs:
    """The programs of live workers, and what ``records`` has of others."""

    def __init__(
        self,
        redis: Redis,
        partitions: Callable[[], Sequence[Partition]],
        *,
        records: ProgramRecords | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._redis = redis
        self._records = records
        self._partitions = partitions
        self._workers: list[WorkerInfo] = []
        self._clock = clock
        self._read = -math.inf
        self._reading = asyncio.Lock()
        self._state = 0
        self._signatures: dict[tuple[str, str], Signature] = {}

    async def state(self) -> int:
        """A number that changes with what live workers serve, as it was within 5 s; -1: Redis cannot be
        asked."""
        if self._clock.monotonic() - self._read > _KEEP_SECONDS:
            try:
                async with self._reading:  # one of many registrations reads for all
                    await self.workers(within_seconds=_KEEP_SECONDS)
            except RedisError:
                return -1
        return self._state

    async def workers(self, *, within_seconds: float = _ANEW_SECONDS) -> list[WorkerInfo]:
        """The live workers, as they were within so many seconds.

        Raises:
            RedisError: Redis cannot be asked.
        """
        if self._clock.monotonic() - self._read > within_seconds:
            workers = await live_workers(self._redis, self._partitions()[0])
            if _served_by(workers) != _served_by(self._workers):
                self._state += 1
            self._workers = workers
            self._read = self._clock.monotonic()
        return self._workers

    async def served(self) -> dict[str, int | None]:
        """Programs that a worker serves, or served in the last 90 days, or that are kept -> when a worker
        said so last, ms; None: none has (yet).

        Raises:
            RedisError: Redis cannot be asked.
        """
        live = {program for worker in await self.workers() for program in worker.programs}
        last = {**dict.fromkeys(live), **await served_lately(self._redis, self._partitions()[0])}
        kept: Mapping[str, int] = {}
        if self._records is not None:
            kept = await _patiently(self._records.last_seen(), {})
        return {**last, **{name: max(ms, last.get(name) or 0) for name, ms in kept.items()}}

    async def kept(self, program: str) -> Sequence[SeenProgram]:
        """What is kept of a program's versions, the one that was seen last first; nothing where that cannot
        be had in time."""
        nothing: Sequence[SeenProgram] = ()
        return (
            nothing if self._records is None else await _patiently(self._records.versions(program), nothing)
        )

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
                self._signatures |= await read_published(self._redis, self._partitions()[0], unread)
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


def _served_by(workers: Iterable[WorkerInfo]) -> set[tuple[str, tuple[str, ...]]]:
    return {(worker.signatures, worker.programs) for worker in workers}


async def _patiently(read: Awaitable[T], otherwise: T) -> T:
    try:
        async with asyncio.timeout(_RECORDS_SECONDS):
            return await read
    except (*STORE_ERRORS, FlowerError, ValueError) as error:
        _log.debug("what is kept of programs cannot be read: %s", error)
        return otherwise
