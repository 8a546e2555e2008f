"""What all that is done with flows stands on: Redis, what is kept elsewhere, the plans and the registrar."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

from redis.asyncio import Redis

from flower_engine.errors import LostError, RefusedError, StoreUnavailableError, UnknownFlowError
from flower_engine.flows.acknowledged_flows import AcknowledgedFlows
from flower_engine.flows.backlog_bound import Backlogs
from flower_engine.flows.live_programs import ProgramRecords, Programs
from flower_engine.flows.plans import Plans
from flower_engine.flows.registrar import Registrar
from flower_engine.flows.sources import Archive, Definitions, KeyOwners
from flower_engine.log.durability import Level
from flower_engine.log.partition import Partition
from flower_engine.model.values.ids import is_flow_id, partition_of
from flower_engine.runtime.clock import Clock
from flower_engine.runtime.settings import Settings

_log = logging.getLogger(__name__)

_MOST_BLOB_READERS = 2  # each may have 8 MiB of JSON in memory, which takes many times that there
_MOST_LOG_READERS = 16  # each may hold a connection to Redis and a page of the log


class Stores:
    """Redis, and what is kept elsewhere; partitions are there once the installation was checked."""

    def __init__(
        self,
        redis: Redis,
        settings: Settings,
        clock: Clock,
        *,
        definitions: Definitions,
        archive: Archive,
        key_owners: KeyOwners,
        program_records: ProgramRecords | None = None,
    ) -> None:
        self.redis = redis
        self.settings = settings
        self.definitions = definitions
        self.archive = archive
        self.key_owners = key_owners
        self.backlogs = Backlogs(redis, settings)
        self.acknowledged = AcknowledgedFlows()
        self.plans = Plans(definitions)
        # Workers publish to all partitions: any that is there tells of them.
        self.programs = Programs(redis, lambda: self.living or self.partitions, records=program_records)
        self.blob_readers = asyncio.Semaphore(_MOST_BLOB_READERS)
        self.log_readers = asyncio.Semaphore(_MOST_LOG_READERS)
        self.waits_for: str | None = "it has not made sure of its stores yet"
        self.lost: str | None = None
        self.missing: dict[int, str] = {}
        """Partitions that cannot be worked on while others can, each with why."""
        self.taking: Collection[int] | None = None
        """While partitions are new, as others have not heard of them yet: those that take flows."""
        self.retiring: set[int] = set()
        """Partitions that get no new flows."""
        self._clock = clock
        self._partitions: Sequence[Partition] = ()
        self._by_number: dict[int, Partition] = {}
        self._registrar: Registrar | None = None
        self._levels: Sequence[Level] = ()

    def now_ms(self) -> int:
        """The time of this process, in milliseconds since the Unix epoch."""
        return self._clock.now_ms()

    def install(
        self,
        partitions: Sequence[Partition],
        levels: Sequence[Level],
        *,
        taking: Collection[int] | None = None,
        retired: Iterable[Partition] = (),
    ) -> None:
        """From now on flows can be registered, and are acknowledged when their partition's level holds.
        ``taking``: only these are given flows for now (default: all). ``retired``: what they had is read."""
        self._partitions = partitions
        self._by_number = {one.number: one for one in (*retired, *partitions)}
        self._levels = levels
        self.taking = taking
        self.missing.clear()
        self._registrar = self._make_registrar(self._levels)
        self.waits_for = self.lost = None

    def _make_registrar(self, levels: Sequence[Level]) -> Registrar:
        made = Registrar(
            *(self.redis, self._partitions, self._clock, self.backlogs, levels),
            acknowledged=self.acknowledged,
            taking=self.taking,
        )
        made.missing = self.missing
        made.retiring = self.retiring
        return made

    def take_in_all(self) -> None:
        """From now on flows are registered in all partitions."""
        self.taking = None
        self._registrar = self._make_registrar(self._levels)

    def stand(
        self,
        away: Mapping[int, str],
        lost: Mapping[int, str],
        recovered: Sequence[Partition],
        retiring: Collection[int] = (),
    ) -> None:
        """Of several partitions, which cannot be worked on now, and which get no new flows; those that were
        recovered can be worked on, as they are given here."""
        missing = {**away, **lost}
        for number in set(retiring) - self.retiring:
            _log.warning("partition %d is retired: it gets no new flows", number)
        for number in self.retiring - set(retiring):
            _log.warning("partition %d gets new flows", number)
        self.retiring.clear()
        self.retiring.update(retiring)
        for one in recovered:
            del missing[one.number]
        for number, why in missing.items():
            if number not in self.missing:
                _log.error("partition %d stands still, the others go on: %s", number, why)
        for number in self.missing.keys() - missing.keys():
            _log.warning("partition %d can be worked on again", number)
        self.missing.clear()
        self.missing.update(missing)
        if recovered:
            by_number = {one.number: one for one in recovered}
            self._partitions = [by_number.get(one.number, one) for one in self._partitions]
            self._by_number |= by_number
            self._registrar = self._make_registrar(self._levels)

    @property
    def living(self) -> Sequence[Partition]:
        """Those that can be worked on now; raises as :attr:`partitions` does."""
        return [one for one in self.partitions if one.number not in self.missing]

    def lose(self, why: str) -> None:
        """Until the next ``install`` nothing can be registered; what is archived can be read."""
        if self._registrar is None:
            self.waits_for = why
        else:
            self.lost = why

    @property
    def partitions(self) -> Sequence[Partition]:
        """The partitions of this installation.

        Raises:
            StoreUnavailableError: the service has only just started and is not sure of them yet.
        """
        if self.waits_for is not None:
            raise StoreUnavailableError("the engine", self.waits_for)
        return self._partitions

    @property
    def partition_count(self) -> int:
        """How many there are, as far as that is known; else 1."""
        return len(self._partitions) or 1

    def numbered(self, number: int) -> Partition | None:
        """The partition of this number, also one that was retired; None: there never was one. Raises as
        :attr:`partitions` does."""
        return self._by_number.get(number) if self.partitions else None

    @property
    def registrar(self) -> Registrar:
        """Who starts flows; raises as :attr:`partitions` does, and LostError while Redis is lost."""
        if self.lost is not None:
            raise LostError(self.lost)
        if self._registrar is None:
            raise StoreUnavailableError("the engine", self.waits_for or "")
        return self._registrar

    def partition_of(self, flow_id: str) -> Partition:
        """The partition that a flow lives in; it may be retired: then the archive alone has the flow.

        Raises:
            UnknownFlowError: no flow of this installation can have this id.
        """
        found = self.numbered(partition_of(flow_id)) if is_flow_id(flow_id) else None
        if found is None:
            raise UnknownFlowError(f"no flow has the id {flow_id!r}")
        return found

    def living_partition_of(self, flow_id: str) -> Partition:
        """The same for who wants to do something to the flow.

        Raises:
            UnknownFlowError: as above.
            RefusedError: it was retired, so the flow has ended for good.
        """
        found = self.partition_of(flow_id)
        if found.is_retired:
            raise RefusedError(
                f"flow {flow_id} has ended, and its partition {found.number} was retired: it can be read and"
                " forked, and nothing else can be done to it",
                "retired",
            )
        return found
