"""Which live versions of a program may take a task that this worker's version refuses."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from flower_engine.insight.published_signatures import hash_of, read_published
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.programs.misfits import differences, misfits
from flower_engine.programs.published_program import PublishedProgram
from flower_engine.programs.signature import Signature
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.transitions.worker_transitions import WorkerInfo, live_workers

_KEEP_SECONDS = 0.05  # of a thousand tasks that are refused many ask once
_MOST_SAID = 3


class Fit(msgspec.Struct, frozen=True):
    """``unfit``: digests of live versions that refuse the task for sure, that of this worker first;
    ``others``: of those that may take it; ``said``: why nobody does, and how the other versions differ."""

    unfit: tuple[str, ...]
    others: tuple[str, ...]
    said: str


class OwnVersion:
    """The digest under which this worker's programs are published now; claims and heartbeats say it."""

    def __init__(self, digest: str) -> None:
        self.digest = digest


class OtherVersions:
    """What live workers serve, read at most every 50 ms."""

    def __init__(self, client: AsyncRedis, partition: Partition, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._client = client
        self._partition = partition
        self._clock = clock
        self._read = -math.inf
        self._workers: list[WorkerInfo] = []
        self._published: dict[tuple[str, str], PublishedProgram] = {}

    async def fit(
        self, own_digest: str, own: Signature, program: str, queue: str, parameters: Mapping[str, Any]
    ) -> Fit:
        """Who may take a task of the queue with these parameters.

        Raises:
            RedisError: Redis cannot be asked.
        """
        if self._clock.monotonic() - self._read > _KEEP_SECONDS:
            self._workers = await live_workers(self._client, self._partition)
            self._read = self._clock.monotonic()
        serving = {
            worker.signatures: worker.worker
            for worker in self._workers
            if program in worker.programs
            and queue in worker.queues
            and program not in worker.unable
            and worker.tells_version
            and worker.signatures not in ("", own_digest)
        }
        pairs = {(digest, program) for digest in serving}
        unread = pairs - self._published.keys()
        if unread:
            self._published |= await read_published(self._client, self._partition, unread)
        unfit: dict[str, None] = {own_digest: None}
        others: list[str] = []
        said: dict[str, str] = {}
        for digest, worker in serving.items():
            version = self._published.get((digest, program))
            why = [] if version is None else list(misfits(version, parameters))
            if not why:
                others.append(digest)
                continue
            unfit[digest] = None
            assert version is not None
            differs = list(differences(own, version))
            if differs:
                text = f"{'; '.join(why)} (compared with this one it {', '.join(differs)})"
                said.setdefault(hash_of(version), f"that of worker {worker}: {text}")
        more = f"; and {len(said) - _MOST_SAID} more" if len(said) > _MOST_SAID else ""
        shown = "; ".join(list(said.values())[:_MOST_SAID])
        return Fit(
            tuple(unfit), tuple(others), f". No other live version takes it: {shown}{more}" if said else ""
        )
