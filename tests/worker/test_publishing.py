"""A worker publishes what its programs take, for as long as it lives, and once for all with the same code."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from flower_engine.insight.published_signatures import (
    digest_of,
    read_published,
    served_lately,
)
from flower_engine.log.client import send
from flower_engine.programs.published_program import PublishedProgram
from flower_engine.programs.registry import Registry
from flower_worker.signature_publisher import Described, keep_published, signatures_of
from scripts.engine import Engine
from worker.running import InProcess, eventually, the_worker


async def test_what_programs_take_is_published_when_a_worker_begins(
    engine: Engine, start_worker: Callable[..., InProcess]
) -> None:
    start_worker()
    info = await the_worker(engine)
    pair = (info.signatures, "EchoParamTimeSleep")

    async def published() -> bool:
        return pair in await read_published(engine.client, engine.partition, [pair])

    await eventually(published)
    found = await read_published(engine.client, engine.partition, [pair, ("", "x"), (info.signatures, "x")])
    assert list(found) == [pair]  # with what it says of itself, where that has followed by now
    assert found[pair].parameters == {"sleep_time_second": ("number",)}
    assert found[pair].required == ("sleep_time_second",)
    key = engine.partition.keys.programs(info.signatures)
    assert 0 < await send(engine.client, "TTL", key) <= 86_400
    assert {"EchoParamTimeSleep", "Noop"} <= (await served_lately(engine.client, engine.partition)).keys()
    assert set(await send(engine.client, "HKEYS", key)) == {name.encode() for name in info.programs}


async def test_what_programs_say_of_themselves_follows_when_the_worker_has_begun(
    engine: Engine, start_worker: Callable[..., InProcess]
) -> None:
    start_worker()
    found: dict[str, PublishedProgram] = {}

    async def told() -> bool:
        info = await the_worker(engine)
        pairs = [(info.signatures, name) for name in info.programs]
        read = await read_published(engine.client, engine.partition, pairs)
        found.update({name: one for (_, name), one in read.items()})
        return bool(found) and all(one.kind for one in found.values())

    await eventually(told)
    echo = found["EchoParamTimeSleep"]
    assert echo.parameters_schema is not None
    assert echo.parameters_schema["properties"] == {"sleep_time_second": {"type": "number", "minimum": 0}}
    assert echo.parameters_schema["required"] == ["sleep_time_second"]
    assert echo.kind == "async"
    assert echo.description


async def test_a_type_whose_schema_takes_for_ever_holds_nothing_up(engine: Engine) -> None:
    asked, go_on = threading.Event(), threading.Event()

    class Slow:
        @classmethod
        def model_validate(cls, value: Any) -> "Slow":
            return cls()

        @classmethod
        def model_json_schema(cls, **_: Any) -> dict[str, Any]:
            asked.set()
            go_on.wait()
            return {"type": "integer"}

    def takes_slow(slow: Any, n: int = 1) -> None: ...

    takes_slow.__annotations__["slow"] = Slow  # which no text of an annotation would find here
    registry, began, told = Registry(), asyncio.Event(), list[str]()
    registry.add(takes_slow, "Slow", None)
    pair = (digest_of(signatures_of(registry)), "Slow")
    publishing = asyncio.create_task(
        keep_published(engine.client, [engine.partition], Described(registry), began, told.append)
    )

    async def published() -> bool:
        return pair in await read_published(engine.client, engine.partition, [pair])

    try:
        await eventually(published)
        assert not asked.is_set()  # not before the worker has begun
        began.set()
        await eventually(asked.is_set)
        assert not told
        go_on.set()
        await eventually(lambda: bool(told))
        found = await read_published(engine.client, engine.partition, [(told[0], "Slow")])
        schema = found[told[0], "Slow"].parameters_schema
        assert schema is not None
        assert schema["properties"] == {"slow": {"type": "integer"}, "n": {"type": "integer", "default": 1}}
    finally:
        go_on.set()
        publishing.cancel()
        await asyncio.wait([publishing])
