"""What every route stands on: the two stores, the partitions, the plans and the registrar."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from flower_api.backlog_bound import Backlogs
from flower_api.definition_listener import Listener
from flower_api.live_programs import Programs
from flower_api.plans import Plans
from flower_api.problems import unavailable
from flower_api.registrar import Registrar
from flower_engine.errors import LostError, UnknownFlowError
from flower_engine.log.durability import Level
from flower_engine.log.partition import Partition
from flower_engine.model.definition import WorkflowDefinition
from flower_engine.model.ids import is_flow_id, partition_of
from flower_engine.projection.database import Connection, Pool
from flower_engine.projection.definitions.definition_rows import read_workflow
from flower_engine.runtime.clock import Clock
from flower_engine.runtime.settings import Settings

_WAIT_SECONDS = 2.0  # for a free connection; a client does better to try again than to wait longer
_WAIT_AWAY_SECONDS = 0.3  # the same while the listener says that Postgres is away
_QUERY_SECONDS = 20.0  # for all statements of a request, and for a Postgres that stands still
STATEMENT_SECONDS = 19.0  # for one statement: Postgres ends it itself, and the connection is kept
_MOST_LOG_READERS = 16  # each may hold a connection to Redis and a page of the log


class Stores:
    """The stores as the API uses them; partitions are there once the installation was checked."""

    def __init__(self, redis: Redis, pool: Pool, settings: Settings, clock: Clock) -> None:
        assert settings.database_url is not None
        self.redis = redis
        self.backlogs = Backlogs(redis, settings)
        self.plans = Plans(self._read_workflow)
        self.listener = Listener(settings.database_direct_url or settings.database_url, self.plans)
        self.programs = Programs(redis, lambda: self.partitions)
        self.log_readers = asyncio.Semaphore(_MOST_LOG_READERS)
        self.waits_for: str | None = "it has not made sure of its stores yet"
        self.lost: str | None = None
        self._pool = pool
        self._clock = clock
        self._partitions: Sequence[Partition] = ()
        self._registrar: Registrar | None = None

    def install(self, partitions: Sequence[Partition], level: Level) -> None:
        """From now on flows can be registered, and are acknowledged when the level holds."""
        self._partitions = partitions
        self._registrar = Registrar(self.redis, partitions, self._clock, self.backlogs, level)
        self.waits_for = self.lost = None

    def lose(self, why: str) -> None:
        """Until the next ``install`` nothing can be registered; what Postgres has can be read."""
        if self._registrar is None:
            self.waits_for = why
        else:
            self.lost = why

    @property
    def partitions(self) -> Sequence[Partition]:
        """The partitions of this installation.

        Raises:
            ProblemError: the service has only just started and is not sure of them yet.
        """
        if self.waits_for is not None:
            raise unavailable("the engine", self.waits_for)
        return self._partitions

    @property
    def partition_count(self) -> int:
        """How many there are, as far as that is known; else 1."""
        return len(self._partitions) or 1

    @property
    def registrar(self) -> Registrar:
        """Who starts flows; raises as :attr:`partitions` does, and LostError while Redis is lost."""
        if self.lost is not None:
            raise LostError(self.lost)
        if self._registrar is None:
            raise unavailable("the engine", self.waits_for or "")
        return self._registrar

    def partition_of(self, flow_id: str) -> Partition:
        """The partition that a flow lives in.

        Raises:
            UnknownFlowError: no flow of this installation can have this id.
        """
        partitions = self.partitions
        if not is_flow_id(flow_id) or partition_of(flow_id) >= len(partitions):
            raise UnknownFlowError(f"no flow has the id {flow_id!r}")
        return partitions[partition_of(flow_id)]

    @asynccontextmanager
    async def postgres(self) -> AsyncGenerator[Connection]:
        """A connection to Postgres, for a bounded time.

        Raises:
            psycopg.Error, ProblemError: Postgres cannot be used now.
        """
        wait_seconds = _WAIT_SECONDS if self.listener.problem is None else _WAIT_AWAY_SECONDS
        try:
            async with asyncio.timeout(_QUERY_SECONDS), self._pool.connection(wait_seconds) as connection:
                yield connection
        except TimeoutError:
            raise unavailable("Postgres", f"it did not answer in {_QUERY_SECONDS:g} s") from None

    async def _read_workflow(self, name: str) -> WorkflowDefinition | None:
        async with self.postgres() as connection:
            return await read_workflow(connection, name)
