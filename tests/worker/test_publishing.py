"""A worker publishes what its programs take, for as long as it lives, and once for all with the same code."""

from collections.abc import Callable

from flower_engine.insight.published_signatures import read_published, read_signatures, served_lately
from flower_engine.log.client import send
from flower_engine.programs.published_program import PublishedProgram
from flower_engine.programs.signature import Signature
from scripts.engine import Engine
from worker.running import InProcess, eventually, the_worker


async def test_what_programs_take_is_published_when_a_worker_begins(
    engine: Engine, start_worker: Callable[..., InProcess]
) -> None:
    start_worker()
    info = await the_worker(engine)
    pair = (info.signatures, "EchoParamTimeSleep")

    async def published() -> bool:
        return pair in await read_signatures(engine.client, engine.partition, [pair])

    await eventually(published)
    found = await read_signatures(engine.client, engine.partition, [pair, ("", "x"), (info.signatures, "x")])
    assert found == {pair: Signature({"sleep_time_second": ("number",)}, required=("sleep_time_second",))}
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
