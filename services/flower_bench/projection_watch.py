"""Watches a deployment while it works: how far the projection is behind, and when everything had ended."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import psycopg

from flower_bench.deployment import BenchError, Deployment
from flower_engine.log.client import one_server, send
from flower_engine.log.keys import Keys

_SAMPLE_SECONDS = 0.04
_POLL_SECONDS = 0.25
_STALL_SECONDS = 60.0
_STOP_SECONDS = 20.0
_POSITIONS = "SELECT partition, position FROM kr_projection ORDER BY partition"
_ENDED = (
    "SELECT count(*) FILTER (WHERE finished_ts IS NOT NULL), count(*) FILTER (WHERE exec_status = 2)"
    " FROM kr_flow_stat WHERE task_id = %s"
)
_SPAN = (
    "SELECT (extract(epoch FROM min(started_ts)) * 1000)::float8,"
    " (extract(epoch FROM max(finished_ts)) * 1000)::float8, sum(tasks)::bigint"
    " FROM kr_flow_stat WHERE task_id = %s"
)


class Sample(NamedTuple):
    """At ``now_ms`` (Redis' clock) the oldest event not projected was ``lag_ms`` old; 0: all were."""

    now_ms: float
    lag_ms: float


class Span(NamedTuple):
    """A workflow's flows from the first start to the last finish, in ms of Redis' clock."""

    first_ms: float
    last_ms: float
    tasks: int

    @property
    def seconds(self) -> float:
        return max(self.last_ms - self.first_ms, 1.0) / 1_000  # events carry whole milliseconds


class Watch:
    """Takes samples in the background for as long as its block runs."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._is_over = False
        self.samples: list[Sample] = []

    async def __aenter__(self) -> Self:
        self._connection = await self._deployment.connect_postgres()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True  # a client cancelled in the middle of a command may swallow that
        await asyncio.wait([self._task], timeout=_STOP_SECONDS)
        await self._connection.close()

    async def _run(self) -> None:
        while not self._is_over:
            self.samples.append(await take_sample(self._deployment, self._connection))
            await asyncio.sleep(_SAMPLE_SECONDS)

    def check(self) -> None:
        """Raises what ended the sampling, if anything did."""
        if self._task.done():
            self._task.result()

    async def until_all_projected_ms(self, from_ms: float) -> float:
        """The first moment from then on when nothing was left to project, as a sample shows it."""
        while True:
            self.check()
            for one in self.samples:
                if one.now_ms >= from_ms and not one.lag_ms:
                    return one.now_ms
            await asyncio.sleep(_SAMPLE_SECONDS)


async def take_sample(deployment: Deployment, connection: psycopg.AsyncConnection[Any]) -> Sample:
    """One look at all partitions."""
    lag_ms, now_ms = 0.0, 0.0
    for partition, position in await (await connection.execute(_POSITIONS)).fetchall():
        seconds, microseconds = await send(one_server(deployment.redis, 0), "TIME")
        now_ms = int(seconds) * 1e3 + int(microseconds) / 1e3
        first = f"({position}" if position else "-"
        found = await send(deployment.redis, "XRANGE", Keys(partition).log, first, "+", "COUNT", 1)
        if found:
            lag_ms = max(lag_ms, now_ms - float(found[0][0].partition(b"-")[0]), 0.001)
    return Sample(now_ms, lag_ms)


async def until_projected(deployment: Deployment) -> None:
    """Returns when nothing is left to project; a deployment that never rests has 60 s for it."""
    deadline = time.monotonic() + _STALL_SECONDS
    async with await deployment.connect_postgres() as connection:
        while (await take_sample(deployment, connection)).lag_ms:
            if time.monotonic() >= deadline:
                raise BenchError(f"the projection was still behind after {_STALL_SECONDS:g} s")
            await asyncio.sleep(_SAMPLE_SECONDS)


async def until_ended(
    deployment: Deployment, workflow: str, flows: int, say: Callable[[str], None] = lambda _: None
) -> Span:
    """Returns when the projection shows the end of so many flows of a workflow.

    Raises:
        BenchError: a task was suspended, or nothing ended for a minute.
    """
    last, moved = -1, time.monotonic()
    async with await deployment.connect_postgres() as connection:
        while True:
            row = await (await connection.execute(_ENDED, [workflow])).fetchone()
            ended, suspended = row or (0, 0)
            say(f"{ended:,} of {flows:,} flows ended")
            if suspended:
                raise BenchError(f"{suspended} flows of {workflow} are suspended: flower errors says why")
            if ended >= flows:
                return await span_of(connection, workflow)
            if ended != last:
                last, moved = ended, time.monotonic()
            if time.monotonic() - moved > _STALL_SECONDS:
                raise BenchError(f"nothing ended for {_STALL_SECONDS:g} s: {ended:,} of {flows:,} flows did")
            await asyncio.sleep(_POLL_SECONDS)


async def count_ended(connection: psycopg.AsyncConnection[Any], workflow: str) -> int:
    """How many flows of a workflow the projection shows at their end."""
    row = await (await connection.execute(_ENDED, [workflow])).fetchone()
    return int(row[0]) if row else 0


async def span_of(connection: psycopg.AsyncConnection[Any], workflow: str) -> Span:
    """The span of all flows of a workflow; all have ended."""
    row = await (await connection.execute(_SPAN, [workflow])).fetchone()
    assert row is not None
    return Span(*row)


async def release(deployment: Deployment, workflow: str) -> None:
    """Lets start what was held; returns at the first event after that, so a worker's own start is over."""
    async with await deployment.connect_postgres() as connection:
        partitions = [row[0] for row in await (await connection.execute(_POSITIONS)).fetchall()]
    before = await _ends(deployment, partitions)
    await deployment.release(workflow)
    deadline = time.monotonic() + _STALL_SECONDS
    while await _ends(deployment, partitions) == before:
        if time.monotonic() >= deadline:
            raise BenchError(f"no task started within {_STALL_SECONDS:g} s")
        await asyncio.sleep(0.005)


async def _ends(deployment: Deployment, partitions: list[int]) -> list[Any]:
    return [
        await send(deployment.redis, "XREVRANGE", Keys(partition).log, "+", "-", "COUNT", 1)
        for partition in partitions
    ]
