"""Batches of several partitions that one projector writes in one transaction: each once, or none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import psycopg
import pytest

from flower_engine.projection import database
from flower_engine.projection.database import Connection
from flower_engine.projection.write.batch import make_batch
from flower_engine.projection.write.projected_positions import Projected, add_positions, read_positions
from flower_engine.projection.write.shared_transactions import SharedTransactions
from flower_engine.projection.write.writer import Writer, prepare_session
from projection.rows import expected, held
from projection.stories import Story
from projection.waiting import until

_PARTITIONS = 5


@dataclass
class Partitions:
    """Writers of some partitions, each with a connection of its own and a story to be written."""

    tables: Connection
    holder: Connection
    connections: list[Connection]
    writers: list[Writer]
    stories: list[Story]
    shared: SharedTransactions

    async def write(self, number: int) -> bool:
        return await self.writers[number].write(await make_batch(number, self.stories[number].entries))

    async def all_at_once(self, then: Callable[[], object] = lambda: None) -> list[asyncio.Task[bool]]:
        """The first one writes, and is kept from its end; all others wait meanwhile, in order. See
        :meth:`release`. ``then`` is called as soon as it has written, before any other one goes on."""

        async def first() -> bool:
            try:
                return await self.write(0)
            finally:
                then()

        await self.hold()
        writing = [asyncio.create_task(first())]
        await until(lambda: self.is_blocked(0))
        for number in range(1, _PARTITIONS):
            writing.append(asyncio.create_task(self.write(number)))
            await until(partial(self.wait, number))
        return writing

    async def wait(self, count: int) -> bool:
        return self.shared.waiting == count

    async def is_blocked(self, number: int) -> bool:
        pid = self.connections[number].info.backend_pid
        found = await self.tables.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid])
        return await found.fetchone() == (True,)

    async def hold(self) -> None:
        """Nobody gets to the end of writing until :meth:`release`."""
        await self.holder.execute("BEGIN")
        await self.holder.execute("LOCK TABLE kr_flow_stat IN EXCLUSIVE MODE")

    async def release(self) -> None:
        await self.holder.execute("ROLLBACK")

    async def transactions(self) -> dict[int, str]:
        """Which one moved the position of each partition last."""
        rows = await self.tables.execute("SELECT partition, xmin::text FROM kr_projection ORDER BY 1")
        return dict([row async for row in rows])

    async def are_written(self, *numbers: int) -> None:
        """These and no others, each once."""
        events = [event for number in numbers for event in self.stories[number].events]
        flows, tasks = await held(self.tables)
        wanted_flows, wanted_tasks = expected(events)
        assert {row.pop("partition") for row in flows} == {*numbers}
        for row in wanted_flows:
            row.pop("partition")
        assert (flows, tasks) == (wanted_flows, wanted_tasks)
        rows = await self.tables.execute(
            "SELECT partition, position_ms || '-' || position_seq FROM kr_event"
            " ORDER BY partition, position_ms, position_seq"
        )
        assert [row async for row in rows] == [
            (number, entry.position) for number in numbers for entry in self.stories[number].entries
        ]


@pytest.fixture
async def partitions(tables: Connection, database_url: str) -> AsyncIterator[Partitions]:
    rows = [
        Projected(
            partition=number, position=None, installation="here", generation="1", partitions=_PARTITIONS
        )
        for number in range(_PARTITIONS)
    ]
    await add_positions(tables, rows)
    shared = SharedTransactions(1)
    async with AsyncExitStack() as stack:
        holder = await stack.enter_async_context(await database.connect(database_url, "holder"))
        connections: list[Connection] = []
        stories: list[Story] = []
        for number in range(_PARTITIONS):
            connection = await database.connect(database_url, f"{number}")
            stack.push_async_callback(connection.close)
            await prepare_session(connection)
            connections.append(connection)
            story = Story()
            story.open()
            story.run(story.register())
            story.start(story.register(), 1)
            stories.append(story)
        writers = [Writer(*pair, shared=shared) for pair in zip(connections, rows, strict=True)]
        yield Partitions(tables, holder, connections, writers, stories, shared)


async def test_what_comes_while_others_are_written_goes_together_with_the_next(
    partitions: Partitions,
) -> None:
    writing = await partitions.all_at_once()
    await partitions.release()
    assert await asyncio.gather(*writing) == [True] * _PARTITIONS
    await partitions.are_written(*range(_PARTITIONS))
    first, *others = (await partitions.transactions()).values()
    assert {*others} == {others[0]} != {first}
    positions = {row.partition: row.position for row in await read_positions(partitions.tables)}
    assert positions == {number: writer.position for number, writer in enumerate(partitions.writers)}


async def test_where_enough_waits_another_transaction_begins_beside_the_first(partitions: Partitions) -> None:
    shared = SharedTransactions(2, enough_events=len(partitions.stories[1].entries))
    for writer in partitions.writers:
        writer.shared = shared
    await partitions.hold()
    writing = [asyncio.create_task(partitions.write(number)) for number in range(2)]
    for number in range(2):
        await until(partial(partitions.is_blocked, number))
    await partitions.release()
    assert await asyncio.gather(*writing) == [True, True]
    await partitions.are_written(0, 1)


async def test_one_whose_position_is_elsewhere_keeps_no_other_from_being_written(
    partitions: Partitions,
) -> None:
    await partitions.tables.execute("UPDATE kr_projection SET position = '7-7' WHERE partition = 2")
    writing = await partitions.all_at_once()
    await partitions.release()
    assert await asyncio.gather(*writing) == [True, True, False, True, True]
    await partitions.are_written(0, 1, 3, 4)


async def test_a_value_that_is_refused_concerns_its_own_event_alone(partitions: Partitions) -> None:
    refused = partitions.stories[3]
    flow = refused.register()
    refused.start(flow, 1)
    refused.finish(flow, 1, b'"\\u0000"')
    writing = await partitions.all_at_once()
    await partitions.release()
    assert await asyncio.gather(*writing) == [True] * _PARTITIONS
    rows = await partitions.tables.execute("SELECT partition FROM kr_event WHERE error IS NOT NULL")
    assert [row async for row in rows] == [(3,)]
    counted = await partitions.tables.execute(
        "SELECT partition, count(*) FROM kr_event GROUP BY 1 ORDER BY 1"
    )
    assert [row async for row in counted] == [
        (number, len(story.entries)) for number, story in enumerate(partitions.stories)
    ]


async def test_where_the_one_that_writes_for_all_loses_its_connection_the_others_write_for_themselves(
    partitions: Partitions,
) -> None:
    writing = await partitions.all_at_once()
    await partitions.tables.execute(
        "SELECT pg_terminate_backend(%s, 10000)", [partitions.connections[1].info.backend_pid]
    )
    await partitions.release()
    told = await asyncio.gather(*writing, return_exceptions=True)
    assert isinstance(told[1], psycopg.OperationalError)
    assert told[:1] + told[2:] == [True] * (_PARTITIONS - 1)
    await partitions.are_written(0, 2, 3, 4)


@pytest.mark.parametrize("cancelled", [(1,), (3,), (1, 3), (0, 1)])
async def test_who_is_cancelled_leaves_nobody_waiting(
    partitions: Partitions, cancelled: tuple[int, ...]
) -> None:
    writing = await partitions.all_at_once()
    for number in cancelled:
        writing[number].cancel()
    await partitions.release()
    told = await asyncio.gather(*writing, return_exceptions=True)
    others = [number for number in range(_PARTITIONS) if number not in cancelled]
    assert [told[number] for number in others] == [True] * len(others)
    assert all(isinstance(told[number], asyncio.CancelledError) for number in cancelled)
    await partitions.are_written(*others)


async def test_who_is_cancelled_just_as_it_is_its_turn_hands_it_on(partitions: Partitions) -> None:
    writing: list[asyncio.Task[bool]] = []
    writing += await partitions.all_at_once(lambda: writing[1].cancel())  # noqa: PLW0108 # it is there then
    await partitions.release()
    told = await asyncio.gather(*writing, return_exceptions=True)
    assert isinstance(told[1], asyncio.CancelledError)
    assert told[:1] + told[2:] == [True] * (_PARTITIONS - 1)
    await partitions.are_written(0, 2, 3, 4)
