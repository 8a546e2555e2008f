"""What is examined: the settings, the stores as far as they answer, and what is known of the installation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from flower_engine.insight.overview import Overview
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.projection.database import Connection
from flower_engine.projection.write.projected_positions import Projected
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.worker_transitions import WorkerInfo


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """From where on a number is a warning, and from where on a problem."""

    memory_left: tuple[float, float] = (0.2, 0.05)  # parts of what there is
    disk_left: tuple[float, float] = (0.1, 0.03)
    disk_left_mb: tuple[int, int] = (2_048, 256)  # and only below so much
    connections_left: tuple[float, float] = (0.2, 0.05)
    lag_seconds: tuple[float, float] = (10.0, 60.0)
    follower_seconds: float = 300.0  # of who reads the archive
    task_log_seconds: float = 60.0  # that a line waits to be stored
    silence_seconds: float = 10.0  # of all watchers
    oldest_ready_seconds: float = 300.0
    clocks_apart_seconds: tuple[float, float] = (2.0, 30.0)
    kept_part: tuple[float, float] = (0.7, 1.0)  # of FLOWER_MAX_KEPT_MB
    held_slot_seconds: float = 3_600.0
    replication_slot_mb: int = 1_024


@dataclass
class Subject:
    """Filled in as the examination goes on. ``redis``, ``postgres``: None where it does not answer."""

    settings: Settings
    environment: Mapping[str, str]
    env_file_said: Sequence[str] = ()
    bounds: Bounds = field(default_factory=Bounds)
    redis: AsyncRedis | None = None
    postgres: Connection | None = None
    has_tables: bool = False
    partitions: list[Partition] = field(default_factory=list)  # those that can be worked on
    partition_count: int = 1  # of all
    projected: list[Projected] = field(default_factory=list)
    workers: list[WorkerInfo] = field(default_factory=list)
    overviews: list[Overview] | None = None  # of some partitions, read once

    @property
    def client(self) -> AsyncRedis:
        """Redis, for checks that are made only if it answers."""
        assert self.redis is not None
        return self.redis

    @property
    def connection(self) -> Connection:
        """The same of Postgres."""
        assert self.postgres is not None
        return self.postgres

    @property
    def some_partitions(self) -> Sequence[Partition]:
        """Those that are looked at closely: of very many only a part, as an examination is to end soon."""
        return self.partitions[:_MOST_PARTITIONS]


_MOST_PARTITIONS = 32
