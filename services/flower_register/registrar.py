"""Starts flows: gives them ids, spreads them over the partitions, and gathers concurrent calls into one.

A lone call is sent at once. Calls that come while one is in flight wait for it and then go together, so
under load Redis sees a few large calls instead of many small ones, and nobody waits when there is no load.
"""

import asyncio
import itertools
import os
from collections.abc import Iterator, Sequence

from redis.asyncio import Redis

from flower_engine.log.partition import Partition
from flower_engine.log.registering import TASKS_PER_CALL, FlowPlan, register
from flower_engine.model.ids import make_flow_id
from flower_engine.runtime.clock import Clock
from flower_register.problems import unavailable

Flows = list[tuple[str, FlowPlan]]

MOST_WAITING_TASKS = 200_000  # about two seconds of Redis' time; beyond, callers are told to come back
DEADLINE_SECONDS = 10.0


class Registrar:
    """Starts flows in any of the partitions."""

    def __init__(self, redis: Redis, partitions: Sequence[Partition], clock: Clock) -> None:
        gatherers = [Gatherer(redis, partition) for partition in partitions]
        self._turns: Iterator[Gatherer] = itertools.cycle(gatherers)
        self._clock = clock

    async def start(self, plan: FlowPlan) -> str:
        """Starts one flow; returns its id.

        Raises:
            LostError, RedisError: it was not started, or nobody knows.
            ProblemError: too many wait already, or Redis did not answer in time.
        """
        gatherer = next(self._turns)
        flow_id = self._new_id(gatherer)
        await gatherer.register([(flow_id, plan)])
        return flow_id

    async def start_many(self, plans: Sequence[FlowPlan]) -> list[str | BaseException]:
        """Starts a flow of each plan, in few calls; returns their ids or errors, in order."""
        chunks: list[tuple[Gatherer, Flows]] = []
        filling: dict[Gatherer, tuple[int, int]] = {}  # the chunk of each gatherer to add to, and its tasks
        places: list[tuple[str, int]] = []
        for plan in plans:
            gatherer = next(self._turns)
            chunk, tasks = filling.get(gatherer, (0, TASKS_PER_CALL))
            if tasks + plan.tasks > TASKS_PER_CALL:
                chunk, tasks = len(chunks), 0
                chunks.append((gatherer, []))
            flow_id = self._new_id(gatherer)
            chunks[chunk][1].append((flow_id, plan))
            filling[gatherer] = (chunk, tasks + plan.tasks)
            places.append((flow_id, chunk))
        calls = (gatherer.register(flows) for gatherer, flows in chunks)
        errors = await asyncio.gather(*calls, return_exceptions=True)
        return [errors[chunk] or flow_id for flow_id, chunk in places]

    def _new_id(self, gatherer: "Gatherer") -> str:
        random_bits = int.from_bytes(os.urandom(8))
        return make_flow_id(self._clock.now_ms(), gatherer.partition.number, random_bits)


class Gatherer:
    """Registers the flows of one partition, one call at a time, each with all that wait by then."""

    def __init__(self, redis: Redis, partition: Partition) -> None:
        self.partition = partition
        self._redis = redis
        self._waiting: list[_Waiting] = []
        self._tasks = 0
        self._sender: asyncio.Task[None] | None = None

    async def register(self, flows: Flows) -> None:
        """Returns when the flows are registered; see :meth:`Registrar.start` for errors."""
        if self._tasks >= MOST_WAITING_TASKS:
            raise unavailable("Redis", f"flows with {self._tasks} tasks wait for it to take them")
        waiting = _Waiting(flows)
        self._waiting.append(waiting)
        self._tasks += waiting.tasks
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        await waiting.done

    async def _send(self) -> None:
        while self._waiting:
            taken = self._take()
            error = await self._call([flow for waiting in taken for flow in waiting.flows])
            if error is not None:  # those behind would only fail later: nobody waits for two deadlines
                taken += self._waiting
                self._waiting, self._tasks = [], 0
            for waiting in taken:
                waiting.tell(error)
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

    async def _call(self, flows: Flows) -> Exception | None:
        """Registers; "duplicate" is as good as "ok": the reply to the first sending was lost."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await register(self._redis, self.partition, flows)
        except TimeoutError:
            return unavailable("Redis", f"no answer in {DEADLINE_SECONDS:g} s; the flows may be registered")
        except Exception as error:  # noqa: BLE001 # whatever it is, those who wait must hear it
            return error
        return None


class _Waiting:
    """Flows of one caller that wait to be registered."""

    __slots__ = ("done", "flows", "tasks")

    def __init__(self, flows: Flows) -> None:
        self.flows = flows
        self.tasks = sum(plan.tasks for _, plan in flows)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(self, error: Exception | None) -> None:
        """Tells the caller how it ended, unless it went away."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
