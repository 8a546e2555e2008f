"""Task logs are stored once, whatever dies meanwhile, and the stream is trimmed behind what is stored."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition
from flower_engine.projection.database import Connection
from flower_engine.projection.task_logs.chunk_rows import read_position
from flower_engine.runtime.clock import ManualClock
from flower_engine.runtime.settings import Settings
from flower_engine.task_logs.chunks import FIELD
from flower_projector.service import serve
from flower_projector.task_log_loop import TaskLogLoop
from projection.storing_child import store_apart
from projection.waiting import until
from projection.written_lines import chunk, flow_ids, write

STREAM = Keys(0).tasklog
(FLOW,) = flow_ids(1)
_OLD = "1700000000000-0"  # an entry that no follower reads any more
_YOUNG = "4102444800000-0"  # followers have time to read it, however long a test takes

MakeLoop = Callable[..., TaskLogLoop]


@pytest.fixture
async def make_loop(client: AsyncRedis, partition: Partition, settings: Settings) -> AsyncIterator[MakeLoop]:
    made: list[TaskLogLoop] = []

    def make(settings: Settings = settings) -> TaskLogLoop:
        made.append(TaskLogLoop(client, [partition], settings))
        return made[-1]

    yield make
    for loop in made:
        await loop.close()


async def stored(tables: Connection) -> list[tuple[int, int, str]]:
    """Task, number and text of every line, in the order of the stream."""
    rows = await tables.execute(
        "SELECT task_exec_seq, lines::text FROM kr_task_log ORDER BY position_ms, position_seq, chunk"
    )
    return [(task, line[0], line[5]) async for task, text in rows for line in msgspec.json.decode(text)]


async def length(client: AsyncRedis) -> int:
    return int(await send(client, "XLEN", STREAM))


async def test_lines_come_into_the_table_of_their_day_with_where_they_came_from(
    client: AsyncRedis, tables: Connection, make_loop: MakeLoop
) -> None:
    (other,) = flow_ids(1)
    chunks = [
        chunk(FLOW, ["a", "b\nc"]),
        chunk(other, ["ü\x1b[31m"], task=7, attempt=3, first=9, skipped=4, level=40),
    ]
    at = await write(client, chunks, at=_OLD)
    await make_loop().run_once()
    rows = await tables.execute(
        "SELECT tableoid::regclass::text, partition, position_ms || '-' || position_seq, chunk, task_flow_id,"
        " task_exec_seq, attempt, first_line, last_line, skipped, top_level FROM kr_task_log ORDER BY chunk"
    )
    assert await rows.fetchall() == [
        ("kr_task_log_20231114", 0, at, 0, FLOW, 1, 1, 1, 2, 0, 20),
        ("kr_task_log_20231114", 0, at, 1, other, 7, 3, 9, 9, 4, 40),
    ]
    assert await stored(tables) == [(1, 1, "a"), (1, 2, "b\nc"), (7, 9, "ü\x1b[31m")]
    assert await read_position(tables, 0) == at


async def test_what_is_stored_is_trimmed_when_followers_have_had_their_time(
    client: AsyncRedis, tables: Connection, make_loop: MakeLoop
) -> None:
    loop = make_loop()
    await write(client, [chunk(FLOW, ["old"])], at=_OLD)
    await write(client, [chunk(FLOW, ["new"], first=2)], at=_YOUNG)
    await loop.run_once()
    assert len(await stored(tables)) == 2
    assert await length(client) == 1  # the new one: followers read it here
    await loop.run_once()
    assert await length(client) == 1


async def test_more_than_one_reading_takes_is_stored_at_once(
    client: AsyncRedis, tables: Connection, make_loop: MakeLoop
) -> None:
    for number in range(1, 251):
        await write(client, [chunk(FLOW, [str(number)], first=number)])
    loop = make_loop()
    while await loop.run_once():
        pass
    assert [number for _, number, _ in await stored(tables)] == list(range(1, 251))


@pytest.mark.parametrize("crash_at", ["task_log.written", "task_log.committed"])
async def test_a_projector_that_is_killed_stores_no_line_twice_and_none_never(
    client: AsyncRedis, tables: Connection, partition: Partition, settings: Settings, crash_at: str
) -> None:
    await write(client, [chunk(FLOW, ["a", "b"])], at=_OLD)
    assert await store_apart(settings, crash_at) == -signal.SIGKILL
    await write(client, [chunk(FLOW, ["c"], first=3)], at=_YOUNG)
    assert await store_apart(settings) == 0
    assert await stored(tables) == [(1, 1, "a"), (1, 2, "b"), (1, 3, "c")]
    assert await length(client) == 1


async def test_two_projectors_store_each_line_once(
    client: AsyncRedis, tables: Connection, make_loop: MakeLoop
) -> None:
    loops = [make_loop(), make_loop()]
    for number in range(1, 40):
        await write(client, [chunk(FLOW, [str(number)], first=number)])
        await asyncio.gather(*(loop.run_once() for loop in loops))
    await make_loop().run_once()  # whoever came second rests
    assert [number for _, number, _ in await stored(tables)] == list(range(1, 40))


async def test_one_takes_over_from_another(
    client: AsyncRedis, tables: Connection, partition: Partition, settings: Settings
) -> None:
    clock = ManualClock()
    first, second = (TaskLogLoop(client, [partition], settings, clock=clock) for _ in range(2))
    await first.run_once()
    await second.run_once()
    await write(client, [chunk(FLOW, ["a"])])
    await first.run_once()
    await second.run_once()  # its position is not the one in Postgres any more
    await first.close()
    await write(client, [chunk(FLOW, ["b"], first=2)])
    clock.advance(60_000)
    await second.run_once()
    assert await stored(tables) == [(1, 1, "a"), (1, 2, "b")]
    await second.close()


async def test_hostile_entries_are_passed_over_and_said_once(
    client: AsyncRedis, tables: Connection, make_loop: MakeLoop, caplog: pytest.LogCaptureFixture
) -> None:
    (elsewhere,) = flow_ids(1, partition=1)
    await send(client, "XADD", STREAM, "*", "something", "else")
    await send(client, "XADD", STREAM, "*", FIELD, b"[[[[[")
    await send(client, "XADD", STREAM, "*", FIELD, b'[["\xff"],"' + b"[" * 200_000 + b'"]')
    await send(client, "XADD", STREAM, "*", FIELD, b"\x00" * 300_000)
    await write(client, [chunk(elsewhere, ["of another partition"])])
    await write(client, [chunk(FLOW, ["fine"])])
    huge = 2**64 - 2
    await write(client, [chunk(FLOW, ["of an id that no table takes"], first=2)], at=f"{huge}-{huge}")
    await make_loop().run_once()
    assert await stored(tables) == [(1, 1, "fine")]
    assert await read_position(tables, 0) == f"{huge}-{huge}"
    assert len(re.findall("chunks of task logs", caplog.text)) == 1


async def test_a_value_that_postgres_refuses_costs_its_chunk_alone(
    client: AsyncRedis, tables: Connection, make_loop: MakeLoop
) -> None:
    await tables.execute("ALTER TABLE kr_task_log ADD CONSTRAINT refused CHECK (task_exec_seq <> 5)")
    await write(client, [chunk(FLOW, [str(task)], task=task) for task in range(1, 10)])
    await make_loop().run_once()
    assert sorted({task for task, _, _ in await stored(tables)}) == [1, 2, 3, 4, 6, 7, 8, 9]
    await write(client, [chunk(FLOW, ["on"], task=10)])
    await make_loop().run_once()
    assert (10, 1, "on") in await stored(tables)


async def test_a_stream_that_begins_anew_before_the_position_is_stored_from_its_first_entry(
    client: AsyncRedis, tables: Connection, make_loop: MakeLoop
) -> None:
    loop = make_loop()
    await write(client, [chunk(FLOW, ["before"])], at="1700000000000-5")
    await loop.run_once()
    await send(client, "DEL", STREAM)  # Redis was lost, and its clock is behind
    await write(client, [chunk(FLOW, ["after"], first=2)], at="1600000000000-0")
    await loop.run_once()
    await loop.run_once()
    assert sorted(await stored(tables)) == [(1, 1, "before"), (1, 2, "after")]
    assert await read_position(tables, 0) == "1600000000000-0"


async def test_a_postgres_that_went_back_gets_again_what_the_stream_still_has(
    client: AsyncRedis, tables: Connection, make_loop: MakeLoop
) -> None:
    await write(client, [chunk(FLOW, ["a"])])
    await make_loop().run_once()
    await tables.execute("TRUNCATE kr_task_log, kr_task_log_position")
    await make_loop().run_once()
    assert await stored(tables) == [(1, 1, "a")]


async def test_the_service_stores_what_came_while_postgres_was_away(
    client: AsyncRedis, tables: Connection, partition: Partition, settings: Settings
) -> None:
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(settings, stop))
    await write(client, [chunk(FLOW, ["a"])])

    async def has(count: int) -> bool:
        return len(await stored(tables)) == count

    await until(lambda: has(1))
    await tables.execute("ALTER TABLE kr_task_log RENAME TO away")
    await write(client, [chunk(FLOW, ["b"], first=2)])
    await tables.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'flower task logs%'"
    )
    await write(client, [chunk(FLOW, ["c"], first=3)])
    await tables.execute("ALTER TABLE away RENAME TO kr_task_log")
    await until(lambda: has(3))
    stop.set()
    await serving
    assert await stored(tables) == [(1, 1, "a"), (1, 2, "b"), (1, 3, "c")]
