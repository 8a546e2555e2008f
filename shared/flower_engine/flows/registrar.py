"""Starts flows: gives them ids, spreads them over the partitions, and gathers concurrent calls into one.

A lone call is sent at once. Calls that come while one is in flight wait for it and then go together, so
under load Redis sees a few large calls instead of many small ones, and nobody waits when there is no load.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import Collection, Container, Iterator, Sequence

import msgspec
from redis.asyncio import Redis

from flower_engine.crash_points import crash_point
from flower_engine.errors import RefusedError, StoreUnavailableError
from flower_engine.flows.acknowledged_flows import AcknowledgedFlows
from flower_engine.flows.backlog_bound import Backlogs
from flower_engine.log.durability import Level
from flower_engine.log.partition import Partition, routed_over
from flower_engine.log.written_partitions import note_written
from flower_engine.model.partitions.pins import pinned_partition
from flower_engine.model.values.ids import make_flow_id
from flower_engine.runtime.clock import Clock
from flower_engine.transitions.register_transition import (
    TASKS_PER_CALL,
    FlowPlan,
    Registered,
    Start,
    partition_of_key,
    register,
)

_log = logging.getLogger(__name__)

MOST_WAITING_TASKS = 200_000  # about two seconds of Redis' time; beyond, callers are told to come back
DEADLINE_SECONDS = 10.0


class Wanted(msgspec.Struct, frozen=True):
    """A flow to start; see ``Start`` for the fields."""

    plan: FlowPlan
    by: str = ""
    key: str = ""
    start_ms: int | None = None
    delay_ms: int = 0
    traceparent: str = ""


class Registrar:
    """Starts flows in any of the partitions; one with an idempotency key in that of its key, one that is
    pinned in that of its pin."""

    def __init__(
        self,
        redis: Redis,
        partitions: Sequence[Partition],
        clock: Clock,
        backlogs: Backlogs,
        levels: Sequence[Level] = (),
        *,
        acknowledged: AcknowledgedFlows | None = None,
        taking: Collection[int] | None = None,
    ) -> None:
        """``levels``: what must hold of a registration in each partition before it is acknowledged;
        ``acknowledged`` is told of those that were; ``taking``: flows go to these
        (default: all)."""
        self.missing: Container[int] = ()
        """Partitions that cannot be worked on now: flows that may be anywhere go elsewhere."""
        self.retiring: Container[int] = ()
        """Partitions that get no new flows: never those that there were at first."""
        known = [*levels, *(Level() for _ in partitions[len(levels) :])]
        told = acknowledged or AcknowledgedFlows()
        self._gatherers = [Gatherer(redis, *pair, told) for pair in zip(partitions, known, strict=True)]
        self._backlogs = backlogs
        self._routed_over = routed_over(partitions)
        self._taking = [one for one in self._gatherers if taking is None or one.partition.number in taking]
        self._turns: Iterator[Gatherer] = itertools.cycle(self._taking)
        self._clock = clock

    async def start(self, wanted: Wanted) -> Registered:
        """Starts one flow, unless its key is known; returns what is registered.

        Raises:
            LostError, RedisError: it was not started, or nobody knows.
            RefusedError: it is pinned by several keys.
            StoreUnavailableError: too many wait already, or Redis did not answer in time.
            ProjectionBehindError: Postgres is too far behind.
        """
        gatherer = self._gatherer(wanted)
        self._check(gatherer)
        (registered,) = await gatherer.register([self._start(gatherer, wanted)])
        return registered

    async def start_many(self, flows: Sequence[Wanted]) -> list[Registered | BaseException]:
        """Starts many flows, in few calls; returns what is registered, or errors, in order."""
        chunks: list[tuple[Gatherer, list[Start]]] = []
        filling: dict[Gatherer, tuple[int, int]] = {}  # the chunk of each gatherer to add to, and its tasks
        places: list[tuple[int, int] | RefusedError] = []
        for wanted in flows:
            plan = wanted.plan
            try:
                gatherer = self._gatherer(wanted)
            except RefusedError as error:
                places.append(error)
                continue
            chunk, tasks = filling.get(gatherer, (0, TASKS_PER_CALL))
            if tasks + plan.tasks > TASKS_PER_CALL:
                chunk, tasks = len(chunks), 0
                chunks.append((gatherer, []))
            places.append((chunk, len(chunks[chunk][1])))
            chunks[chunk][1].append(self._start(gatherer, wanted))
            filling[gatherer] = (chunk, tasks + plan.tasks)
        calls = (self._checked(gatherer, starts) for gatherer, starts in chunks)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        found: list[Registered | BaseException] = []
        for where in places:
            if isinstance(where, RefusedError):
                found.append(where)
                continue
            chunk, place = where
            outcome = outcomes[chunk]
            found.append(outcome if isinstance(outcome, BaseException) else outcome[place])
        return found

    async def _checked(self, gatherer: "Gatherer", starts: list[Start]) -> list[Registered]:
        self._check(gatherer)
        return await gatherer.register(starts)

    def _check(self, gatherer: "Gatherer") -> None:
        if self._backlogs.is_over(gatherer.partition.number):
            raise self._backlogs.refusal(gatherer.partition.number)

    def partitions_for(self, wanted: Wanted) -> list[Partition]:
        """Where it may begin: several, where neither a pin nor a key says which."""
        if wanted.key or wanted.plan.pinned_by:
            return [self._gatherer(wanted).partition]
        taking = [one.partition for one in self._taking]
        open_ones = [one for one in taking if one.number not in self.retiring] or taking
        return [one for one in open_ones if one.number not in self.missing] or open_ones

    def _gatherer(self, wanted: Wanted) -> "Gatherer":
        if pins := wanted.plan.pinned_by:
            refuse_several_pins(wanted.plan)
            return self._gatherers[pinned_partition(next(iter(pins)), self._routed_over)]
        if not wanted.key:
            second: Gatherer | None = None
            for gatherer in itertools.islice(self._turns, len(self._gatherers)):
                number = gatherer.partition.number
                if number in self.retiring:
                    continue
                second = gatherer
                if not self._backlogs.is_over(number) and number not in self.missing:
                    return gatherer
            return second or next(self._turns)
        return self._gatherers[partition_of_key(wanted.key, self._routed_over)]

    def _start(self, gatherer: "Gatherer", wanted: Wanted) -> Start:
        random_bits = int.from_bytes(os.urandom(8))
        flow_id = make_flow_id(self._clock.now_ms(), gatherer.partition.number, random_bits)
        said = (wanted.by, wanted.key, wanted.start_ms, wanted.delay_ms, wanted.traceparent)
        return Start(flow_id, wanted.plan, *said)


def refuse_several_pins(plan: FlowPlan) -> None:
    """Lets pass what is pinned by one key at most.

    Raises:
        RefusedError: it is by several, so that nobody can say where it is to lie.
    """
    if len(plan.pinned_by) > 1:
        some = ", ".join(sorted({task.workflow_key for task in plan.planned} - {""})[:5])
        raise RefusedError(
            f"workflow {plan.workflow!r} is pinned by key (limit_by {plan.keying.limit_by!r}), and tasks of"
            f" this flow have several: {some}. Give all of them the same one, or pin the workflow as a whole",
            "several-keys",
        )


class Gatherer:
    """Registers the flows of one partition, one call at a time, each with all that wait by then."""

    def __init__(
        self, redis: Redis, partition: Partition, level: Level, acknowledged: AcknowledgedFlows
    ) -> None:
        self._acknowledged = acknowledged
        self.partition = partition
        self._level = level
        self._redis = redis
        self._waiting: list[_Waiting] = []
        self._tasks = 0
        self._sender: asyncio.Task[None] | None = None
        self._holds = level.doubt is None

    async def register(self, starts: list[Start]) -> list[Registered]:
        """What is registered then, in order; see :meth:`Registrar.start` for errors."""
        note_written(self.partition.keys.meta)  # here, as the call is not made by whoever waits for it
        if self._tasks >= MOST_WAITING_TASKS:
            raise StoreUnavailableError("Redis", f"flows with {self._tasks} tasks wait for it to take them")
        waiting = _Waiting(starts)
        self._waiting.append(waiting)
        self._tasks += waiting.tasks
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await waiting.done

    async def _send(self) -> None:
        while self._waiting:
            taken = self._take()
            outcome = await self._call([start for waiting in taken for start in waiting.starts])
            if isinstance(outcome, Exception):  # those behind would only fail later: nobody waits twice
                taken += self._waiting
                self._waiting, self._tasks = [], 0
            first = 0
            for waiting in taken:
                last = first + len(waiting.starts)
                waiting.tell(outcome if isinstance(outcome, Exception) else outcome[first:last])
                first = last
        self._sender = None

    def _take(self) -> "list[_Waiting]":
        """The oldest that wait: one at least, and more up to the tasks that go in a call."""
        taken, tasks = 1, self._waiting[0].tasks
        while taken < len(self._waiting) and tasks + self._waiting[taken].tasks <= TASKS_PER_CALL:
            tasks += self._waiting[taken].tasks
            taken += 1
        calls, self._waiting = self._waiting[:taken], self._waiting[taken:]
        self._tasks -= tasks
        return calls

    async def _call(self, starts: list[Start]) -> list[Registered] | Exception:
        """Registers; "duplicate" is as good as "ok": the reply to the first sending was lost."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                crash_point("register.before")
                registered = await register(self._redis, self.partition, starts, self._level)
                crash_point("register.after")
                self._note(registered)
                new = (one.flow for one in registered if one.word in {"ok", "duplicate"})
                self._acknowledged.note(self.partition.number, new)
                return registered
        except TimeoutError:
            return StoreUnavailableError(
                "Redis", f"no answer in {DEADLINE_SECONDS:g} s; the flows may be registered"
            )
        except Exception as error:  # noqa: BLE001 # whatever it is, those who wait must hear it
            return error

    def _note(self, registered: Sequence[Registered]) -> None:
        """Says when less holds of registrations than is held out, and when all of it holds again."""
        level = self._level
        if level.wait is None:
            return
        found = next((one.durability for one in registered if one.word == "ok"), None)
        holds = found == level.durability
        if found is not None and holds != self._holds:
            self._holds = holds
            _log.warning(
                "registrations in partition %d are acknowledged as %s, FLOWER_DURABILITY is %s",
                *(self.partition.number, found, level.durability),
            )


class _Waiting:
    """Flows of one caller that wait to be registered."""

    __slots__ = ("done", "starts", "tasks")

    def __init__(self, starts: list[Start]) -> None:
        self.starts = starts
        self.tasks = sum(start.plan.tasks for start in starts)
        self.done: asyncio.Future[list[Registered]] = asyncio.get_running_loop().create_future()

    def tell(self, outcome: list[Registered] | Exception) -> None:
        """Tells the caller how it ended, unless it went away."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)
