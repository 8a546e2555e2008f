"""trim: archived log entries go, the entry at the position stays, ended flows are forgotten in time."""

import asyncio

import pytest

from flower_engine.errors import LostError
from flower_engine.log.client import send
from flower_engine.log.reader import read_log
from flower_engine.transitions.operator_transitions import rerun
from flower_engine.transitions.register_transition import Start, register
from flower_engine.transitions.watcher_transitions import trim
from scripts.engine import A_MINUTE_MS, Engine, task

EVENTS = 2_000
pytestmark = pytest.mark.leaves_damage  # the trimmed log no longer folds


async def write(engine: Engine) -> None:
    """So many events, in 200 entries: what is trimmed goes in nodes of 64."""
    for _ in range(200):
        await engine.register_many(EVENTS // 200, task(1))


async def positions(engine: Engine) -> list[str]:
    return [entry.position for entry in await read_log(engine.client, engine.partition, None, 1_000_000)]


async def trim_to(
    engine: Engine, position: str, *, archived: str | None = None, ended_keep_ms: int = 0, most: int = 1_000
) -> tuple[int, int]:
    return await trim(
        engine.client,
        engine.partition,
        keep_from=position,
        archived=archived or position,
        ended_keep_ms=ended_keep_ms,
        projected=0,
        most=most,
    )


async def end_one(engine: Engine) -> str:
    """A flow that ended in an earlier millisecond than everything after it."""
    flow = await engine.register(task(1, program="A"))
    await engine.work_off(programs=["A"])
    (ending,) = await send(engine.client, "LRANGE", engine.keys.endings, -1, -1)
    ended_ms = int(ending.partition(b"@")[0])
    seconds, micros = ended_ms // 1000, 0
    while seconds * 1000 + micros // 1000 <= ended_ms:
        seconds, micros = await send(engine.client, "TIME")
    return flow


async def next_position(engine: Engine) -> str:
    """The position of an event that happens now."""
    await engine.register(task(1, program="B"))
    return (await positions(engine))[-1]


async def test_the_entry_at_the_position_and_all_after_it_stay(engine: Engine) -> None:
    await write(engine)
    before = await positions(engine)
    entries = await send(engine.client, "XLEN", engine.keys.log)
    kept = before[EVENTS // 2 :]
    trimmed, _ = await trim_to(engine, kept[0])
    left = await positions(engine)
    assert trimmed == entries - await send(engine.client, "XLEN", engine.keys.log) > 0
    assert left[-len(kept) :] == kept
    after = await read_log(engine.client, engine.partition, kept[0], 10)
    assert [entry.position for entry in after] == kept[1:11]


async def test_a_reader_whose_entry_is_gone_is_told_that_redis_was_lost(engine: Engine) -> None:
    await write(engine)
    before = await positions(engine)
    await trim_to(engine, before[-1])
    with pytest.raises(LostError, match=f"no longer has its entry {before[0]}"):
        await read_log(engine.client, engine.partition, before[0], 10)


async def test_trimming_everything_archived_still_leaves_the_position(engine: Engine) -> None:
    await write(engine)
    last = (await positions(engine))[-1]
    await trim_to(engine, last)
    assert await read_log(engine.client, engine.partition, last, 10) == []


async def test_an_ended_flow_is_forgotten_once_archived_and_old(engine: Engine) -> None:
    flow = await end_one(engine)
    position = await next_position(engine)
    assert await trim_to(engine, position) == (0, 1)
    assert f"ended:{flow}" not in await engine.key_names()
    assert await send(engine.client, "LLEN", engine.keys.endings) == 0


async def test_an_ended_flow_is_kept_until_its_end_is_archived(engine: Engine) -> None:
    before = await next_position(engine)
    flow = await end_one(engine)
    after = await next_position(engine)
    assert await trim_to(engine, before) == (0, 0)
    assert await trim_to(engine, before, archived=after) == (0, 1)
    assert f"ended:{flow}" not in await engine.key_names()


async def test_an_ended_flow_is_kept_for_the_time_asked_for(engine: Engine) -> None:
    flow = await end_one(engine)
    position = await next_position(engine)
    assert await trim_to(engine, position, ended_keep_ms=A_MINUTE_MS) == (0, 0)
    assert f"ended:{flow}" in await engine.key_names()
    starts = [Start(flow, engine.plan(task(1)))]
    (registered,) = await register(engine.client, engine.partition, starts)
    assert registered.word == "duplicate"


async def test_no_more_flows_are_forgotten_in_a_call_than_asked_for(engine: Engine) -> None:
    for _ in range(5):
        await end_one(engine)
    position = await next_position(engine)
    found = [(await trim_to(engine, position, most=2))[1] for _ in range(4)]
    assert found == [2, 2, 1, 0]


async def test_trimming_again_changes_nothing(engine: Engine) -> None:
    await write(engine)
    position = (await positions(engine))[EVENTS // 2]
    await trim_to(engine, position)
    left = await positions(engine)
    assert await trim_to(engine, position) == (0, 0)
    assert await positions(engine) == left


async def test_nothing_is_trimmed_for_another_installation(engine: Engine) -> None:
    await write(engine)
    before = await positions(engine)
    await send(engine.client, "HSET", engine.keys.meta, "installation", "another")
    with pytest.raises(LostError):
        await trim_to(engine, before[-1])
    assert await positions(engine) == before


async def test_a_key_is_forgotten_once_its_registration_is_archived_and_old(engine: Engine) -> None:
    before = await next_position(engine)
    await engine.start(engine.plan(task(1)), key="k")
    await asyncio.sleep(0.002)  # a later millisecond
    position = await next_position(engine)
    await trim_to(engine, before)
    await trim_to(engine, position, ended_keep_ms=A_MINUTE_MS)
    assert "key:k" in await engine.key_names()
    await trim_to(engine, position)
    assert "key:k" not in await engine.key_names()
    assert await send(engine.client, "LLEN", engine.keys.keyed) == 0


async def test_a_flow_that_was_rerun_is_not_forgotten_for_its_first_end(engine: Engine) -> None:
    flow = await end_one(engine)
    first_end = await next_position(engine)
    where = (engine.client, engine.partition, flow)
    await rerun(*where, by="eve", selection=[1], restored=await engine.restored(flow))
    await engine.work_off(programs=["A"])
    await asyncio.sleep(0.002)  # a later millisecond
    assert await trim_to(engine, first_end, most=1) == (0, 1)
    assert f"ended:{flow}" in await engine.key_names(), "its second end may not be archived yet"
    assert await trim_to(engine, await next_position(engine)) == (0, 1)
    assert f"ended:{flow}" not in await engine.key_names()
