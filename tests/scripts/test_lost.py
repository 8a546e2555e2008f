"""Redis that was lost, halted or recovered answers every transition with ``lost``."""

from collections.abc import Awaitable, Callable

import pytest

from flower_engine.errors import LostError
from flower_engine.log.client import send
from flower_engine.log.partition import Partition, read_meta
from flower_engine.transitions.installation_transitions import halt, install
from flower_engine.transitions.watcher_transitions import trim
from flower_engine.transitions.worker_transitions import hand_back, leave
from scripts.engine import Engine, task

Transition = Callable[[Engine], Awaitable[object]]


async def _heartbeat(engine: Engine) -> object:
    return engine.heartbeat("w1")


async def _hand_back(engine: Engine) -> object:
    return hand_back(engine.blocking, engine.partition, "w1", ["default"])


TRANSITIONS: dict[str, Transition] = {
    "register": lambda engine: engine.register(task(1)),
    "attend": lambda engine: engine.attend("default"),
    "finish_and_claim": lambda engine: engine.exchange(wanted=1),
    "heartbeat": _heartbeat,
    "hand_back": _hand_back,
    "leave": lambda engine: leave(engine.client, engine.partition, "w1", ["default"]),
    "lapse": lambda engine: engine.lapse(),
    "trim": lambda engine: trim(
        engine.client, engine.partition, keep_from="0-0", archived="0-0", ended_keep_ms=0, projected=0
    ),
}
every_transition = pytest.mark.parametrize("transition", TRANSITIONS.values(), ids=TRANSITIONS)
pytestmark = pytest.mark.leaves_damage


async def refused_without_a_trace(engine: Engine, transition: Transition) -> None:
    before = await engine.key_names()
    log: int = await send(engine.client, "XLEN", engine.keys.log)
    with pytest.raises(LostError, match="Redis has lost the state of partition 0"):
        await transition(engine)
    assert await engine.key_names() == before
    assert await send(engine.client, "XLEN", engine.keys.log) == log


@every_transition
async def test_a_transition_after_a_halt_is_refused(engine: Engine, transition: Transition) -> None:
    await engine.register(task(1))
    await halt(engine.client, engine.partition, "the log lost its entry 5-0")
    await refused_without_a_trace(engine, transition)


@every_transition
async def test_a_transition_on_an_emptied_redis_is_refused(engine: Engine, transition: Transition) -> None:
    await engine.register(task(1))
    await send(engine.client, "FLUSHALL")
    await refused_without_a_trace(engine, transition)


@every_transition
async def test_a_transition_of_an_earlier_generation_is_refused(
    engine: Engine, transition: Transition
) -> None:
    await engine.register(task(1))
    await send(engine.client, "HSET", engine.keys.meta, "generation", "2")
    await refused_without_a_trace(engine, transition)


@every_transition
async def test_a_service_that_starts_after_a_halt_is_refused_too(
    engine: Engine, transition: Transition
) -> None:
    """It reads the meta of the halted partition and must not take what it finds there for a generation."""
    await halt(engine.client, engine.partition, "why")
    meta = await read_meta(engine.client, 0)
    assert meta is not None
    engine.partition = Partition(0, meta.installation, meta.generation)
    await refused_without_a_trace(engine, transition)


async def test_a_halt_says_why_and_keeps_what_was(engine: Engine) -> None:
    await halt(engine.client, engine.partition, "the log lost its entry 5-0")
    await halt(engine.client, engine.partition, "a second reason comes too late")
    meta = await read_meta(engine.client, 0)
    assert meta is not None
    assert (meta.installation, meta.partitions) == ("test-installation", 1)
    assert meta.halted_why == "the log lost its entry 5-0"


async def test_the_error_names_where_to_look_and_what_to_do(engine: Engine) -> None:
    await send(engine.client, "FLUSHALL")
    with pytest.raises(LostError) as lost:
        await engine.register(task(1))
    for part in ("test-installation", "generation 1", "{flower:0}:meta", "recover Redis from the archive"):
        assert part in str(lost.value)


async def test_an_emptied_redis_has_no_meta(engine: Engine) -> None:
    await send(engine.client, "FLUSHALL")
    assert await read_meta(engine.client, 0) is None


async def test_installing_does_not_undo_a_halt(engine: Engine) -> None:
    await halt(engine.client, engine.partition, "why")
    with pytest.raises(LostError):
        meta = await install(engine.client, 0, "test-installation", 1)
        engine.partition = Partition(0, meta.installation, meta.generation)
        await engine.register(task(1))
