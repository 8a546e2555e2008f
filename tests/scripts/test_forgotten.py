"""An operation held up for longer than Redis remembers how the flow ended is not taken for a new one."""

import asyncio
from typing import Any

import pytest

from flower_engine.errors import MovedError, NotUnderWayError
from flower_engine.log.client import send
from flower_engine.log.reader import read_log
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.operator_transitions import Operated, cancel, rerun, unignore
from flower_engine.transitions.park_transitions import park, unpark
from flower_engine.transitions.restored_flow import Restored
from flower_engine.transitions.watcher_transitions import trim
from scripts.engine import Engine, task


async def forget(engine: Engine) -> None:
    """Everything is archived, and every end forgotten."""
    while await send(engine.client, "LLEN", engine.keys.endings):
        last = (await read_log(engine.client, engine.partition, None, 1_000_000))[-1].position
        await trim(
            engine.client, engine.partition, keep_from="0-0", archived=last, ended_keep_ms=0, projected=0
        )
        await asyncio.sleep(0.001)  # an end is forgotten once Redis' clock shows a later millisecond


async def run(engine: Engine, restored: Restored, flow: str) -> Operated:
    return await rerun(engine.client, engine.partition, flow, by="eve", selection="all", restored=restored)


async def ended(engine: Engine) -> str:
    flow = await engine.register(task(1))
    await engine.work_off()
    return flow


async def versions(engine: Engine, flow: str) -> list[int]:
    told: list[Any] = await engine.events()
    return [event.v for event in told if getattr(event, "flow", None) == flow]


async def test_a_rerun_of_a_flow_that_ended_again_and_was_forgotten_begins_again(engine: Engine) -> None:
    flow = await ended(engine)
    late = await engine.restored(flow)
    await run(engine, await engine.restored(flow), flow)
    await engine.work_off()
    await forget(engine)
    with pytest.raises(NotUnderWayError) as caught:
        await run(engine, late, flow)
    assert caught.value.position == (await engine.restored(flow)).position
    assert await versions(engine, flow) == [1, 2, 3, 4, 5, 6]
    assert (await run(engine, await engine.restored(flow), flow)).version == 7
    await engine.work_off()


async def test_a_rerun_is_taken_whatever_was_forgotten_before_its_history_was_read(engine: Engine) -> None:
    flow = await ended(engine)
    await forget(engine)
    known = await engine.restored(flow)
    await engine.register(task(1, program="B"))  # behind what was read, and not forgotten
    assert (await run(engine, known, flow)).version == 4
    await engine.work_off()


async def test_a_history_of_unknown_age_is_read_again_once_anything_is_forgotten(engine: Engine) -> None:
    flow = await ended(engine)
    of_no_age = Restored.of(await engine.flow(flow))
    await forget(engine)
    with pytest.raises(NotUnderWayError):
        await run(engine, of_no_age, flow)


async def test_ends_that_an_older_version_noted_count_as_far_as_is_archived(engine: Engine) -> None:
    flow = await ended(engine)
    late = await engine.restored(flow)
    await run(engine, late, flow)
    await engine.work_off()
    for noted in await send(engine.client, "LRANGE", engine.keys.endings, 0, -1):
        head, _, what = noted.partition(b" ")
        await send(engine.client, "LREM", engine.keys.endings, 1, noted)
        await send(engine.client, "RPUSH", engine.keys.endings, head.partition(b"@")[0] + b" " + what)
    await engine.register(task(1, program="B"))
    await asyncio.sleep(0.002)
    await engine.register(task(1, program="B"))  # later than the ends, by the clock
    await forget(engine)
    with pytest.raises(NotUnderWayError):
        await run(engine, late, flow)
    await run(engine, await engine.restored(flow), flow)


async def test_unignore_is_judged_as_rerun_is(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2, 1))
    await engine.work_off(programs=["none"])
    await cancel(engine.client, engine.partition, flow, by="eve")
    late = await engine.restored(flow)
    await run(engine, late, flow)
    await engine.work_off()
    await forget(engine)
    with pytest.raises(NotUnderWayError):
        await unignore(engine.client, engine.partition, flow, by="eve", tasks=[2], restored=late)


async def test_a_parked_flow_that_moved_on_and_was_forgotten_is_not_put_back(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.suspend(*await engine.claim())
    version = (await engine.flow(flow)).version
    assert await park(engine.client, engine.partition, [(flow, version)]) == [flow]
    late = await engine.restored(flow)
    await unpark(engine.client, engine.partition, flow, late)
    await rerun(engine.client, engine.partition, flow, by="eve", selection="failed")
    await engine.work_off()
    await forget(engine)
    with pytest.raises(MovedError, match="since its history was read"):
        await unpark(engine.client, engine.partition, flow, late)
    assert (await engine.flow(flow)).task(1).status is Status.FINISH
