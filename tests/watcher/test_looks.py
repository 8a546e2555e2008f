"""Watchers look at many partitions at the same moments, and what they ask at one goes in one round trip."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import RedisError, ResponseError

from flower_engine.log.client import AsyncRedis, connect, send
from flower_engine.log.gathered_calls import GatheredRedis
from flower_engine.log.partition import Partition
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.clock import ManualClock
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.watcher_transitions import fire
from flower_watcher.looks import Looks


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[AsyncRedis]:
    async with connect(redis_url) as client:
        yield client


@pytest.fixture
async def partitions(client: AsyncRedis) -> list[Partition]:
    made = [await install(client, number, "test-installation", 3) for number in range(3)]
    return [Partition(number, one.installation, one.generation) for number, one in enumerate(made)]


async def _reads(client: AsyncRedis) -> int:
    """How often the server has read from a connection."""
    found: Any = await send(client, "INFO", "stats")
    return int(found["total_reads_processed"])


async def test_what_is_asked_at_the_same_moment_goes_in_one_round_trip(client: AsyncRedis) -> None:
    gathered = GatheredRedis(client)
    before = await _reads(client)
    told = await asyncio.gather(*(send(gathered, "ECHO", f"{number}") for number in range(8)))
    after = await _reads(client)
    assert told == [f"{number}".encode() for number in range(8)]
    assert after - before == 2, "one, and one to ask how many there were"
    more = await asyncio.gather(*(send(gathered, "ECHO", f"{number}") for number in range(50)))
    assert more == [f"{number}".encode() for number in range(50)]


async def test_looks_at_several_partitions_go_together_also_where_the_server_is_new(
    client: AsyncRedis, partitions: list[Partition]
) -> None:
    await send(client, "SCRIPT FLUSH")
    gathered = GatheredRedis(client)
    looks = [fire(gathered, one, lease_ms=1_000, tick_gap_ms=1_000) for one in partitions]
    assert [found.fired for found in await asyncio.gather(*looks)] == [[], [], []]


async def test_an_error_of_one_is_not_that_of_others(client: AsyncRedis) -> None:
    gathered = GatheredRedis(client)
    told = await asyncio.gather(
        send(gathered, "ECHO", "1"),
        send(gathered, "ECHO"),
        send(gathered, "ECHO", "2"),
        return_exceptions=True,
    )
    assert (told[0], told[2]) == (b"1", b"2")
    assert isinstance(told[1], ResponseError)


async def test_who_does_not_wait_any_more_keeps_nobody_from_a_reply(client: AsyncRedis) -> None:
    gathered = GatheredRedis(client)
    asked = [asyncio.create_task(send(gathered, "ECHO", f"{number}")) for number in range(3)]
    await asyncio.sleep(0)
    asked[1].cancel()
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert (told[0], told[2]) == (b"0", b"2")
    assert isinstance(told[1], asyncio.CancelledError)


@pytest.mark.parametrize("count", [1, 3])
async def test_who_was_cancelled_has_nothing_under_way_any_more(client: AsyncRedis, count: int) -> None:
    gathered = GatheredRedis(client)
    asked = [asyncio.create_task(send(gathered, "BLPOP", "nothing", 0)) for _ in range(count)]
    pool: Any = client.connection_pool
    async with asyncio.timeout(60):
        while not pool._in_use_connections:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await cancel_all(asked)
    assert not pool._in_use_connections
    assert all(one.cancelled() for one in asked)


async def test_what_nobody_waits_for_any_more_is_not_sent(client: AsyncRedis) -> None:
    gathered = GatheredRedis(client)
    asked = [asyncio.create_task(send(gathered, "SET", f"{number}", "")) for number in range(2)]
    asyncio.get_running_loop().call_soon(asked[0].cancel)  # behind their first steps, before they are sent
    await asyncio.wait(asked)
    assert [await send(client, "EXISTS", f"{number}") for number in range(2)] == [0, 1]


async def test_all_hear_of_a_server_that_is_away() -> None:
    async with connect("redis://127.0.0.1:1/0") as away:
        gathered = GatheredRedis(away)
        told = await asyncio.gather(*(send(gathered, "PING") for _ in range(3)), return_exceptions=True)
    assert all(isinstance(one, RedisError | OSError) for one in told)


@given(st.lists(st.integers(0, 99), min_size=2, max_size=9), st.sampled_from([0.2, 0.3, 0.5]))
def test_whoever_looked_about_the_same_time_looks_again_at_the_same_moment(
    late_ms: list[int], seconds: float
) -> None:
    clock = ManualClock(1_000_000)
    looks = Looks(connect("redis://127.0.0.1:1/0"), clock=clock)
    ends: list[float] = []
    moved = 0
    for ms in sorted(late_ms):
        clock.advance(ms - moved)
        moved = ms
        rest = looks.seconds_until(seconds)
        assert abs(rest - seconds) <= 0.0501
        ends.append(round(clock.monotonic() + rest, 6))
    assert len(set(ends)) <= 2, "half a beat later is the next one"
