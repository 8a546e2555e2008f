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
from flower_engine.log.registering import FlowPlan, register
from flower_engine.model.ids import make_flow_id
from flower_engine.runtime.clock import Clock
from flower_register.problems import unavailable

Flows = list[tuple[str, FlowPlan]]

MOST_IN_A_CALL = 1_000  # flows; what more is gathered goes with the next call
MOST_WAITING = 20_000  # flows; beyond, callers are told to come back
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
        """Starts a flow of each plan, in one call per partition; returns their ids or errors, in order."""
        parts: dict[Gatherer, Flows] = {}
        places: list[tuple[str, Gatherer]] = []
        for plan in plans:
            gatherer = next(self._turns)
            flow_id = self._new_id(gatherer)
            parts.setdefault(gatherer, []).append((flow_id, plan))
            places.append((flow_id, gatherer))
        calls = (gatherer.register(flows) for gatherer, flows in parts.items())
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        failed = {
            gatherer: error for gatherer, error in zip(parts, outcomes, strict=True) if error is not None
        }
        return [failed.get(gatherer, flow_id) for flow_id, gatherer in places]

    def _new_id(self, gatherer: "Gatherer") -> str:
        random_bits = int.from_bytes(os.urandom(8))
        return make_flow_id(self._clock.now_ms(), gatherer.partition.number, random_bits)


class Gatherer:
    """Registers the flows of one partition, one call at a time, each with all that wait by then."""

    def __init__(self, redis: Redis, partition: Partition) -> None:
        self.partition = partition
        self._redis = redis
        self._waiting: list[tuple[Flows, asyncio.Future[None]]] = []
        self._count = 0
        self._sender: asyncio.Task[None] | None = None

    async def register(self, flows: Flows) -> None:
        """Returns when the flows are registered; see :meth:`Registrar.start` for errors."""
        if self._count >= MOST_WAITING:
            raise unavailable("Redis", f"{self._count} flows wait for it to take them")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((flows, done))
        self._count += len(flows)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        await done

    async def _send(self) -> None:
        while self._waiting:
            calls = self._take()
            error = await self._call([flow for flows, _ in calls for flow in flows])
            for _, done in calls:
                if done.done():  # its caller went away
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
        self._sender = None

    def _take(self) -> list[tuple[Flows, asyncio.Future[None]]]:
        """The oldest of the waiting calls: one at least, more up to the most flows in a call."""
        taken, flows = 0, 0
        while taken < len(self._waiting) and (
            taken == 0 or flows + len(self._waiting[taken][0]) <= MOST_IN_A_CALL
        ):
            flows += len(self._waiting[taken][0])
            taken += 1
        calls, self._waiting = self._waiting[:taken], self._waiting[taken:]
        self._count -= flows
        return calls

    async def _call(self, flows: Flows) -> Exception | None:
        """Registers; "duplicate" is as good as "ok": the reply to the first sending was lost."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await register(self._redis, self.partition, flows)
        except TimeoutError:
            return unavailable(
                "Redis", f"it did not answer in {DEADLINE_SECONDS:g} s; the flows may be registered"
            )
        except Exception as error:  # noqa: BLE001 # whatever it is, the waiting callers must hear it
            return error
        return None
