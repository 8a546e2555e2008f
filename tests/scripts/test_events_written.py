"""What the scripts write into the log is what Python reads, in shapes that the golden files have."""

import json
from pathlib import Path
from typing import Any

from flower_engine.model.events import AnyEvent
from scripts.engine import Engine, chain, task

GOLDEN = Path(__file__).parents[1] / "golden" / "events"


def shape(raw: bytes) -> str:
    """An event without its values: type and names of the fields in order, and those of an error."""
    event: dict[str, Any] = json.loads(raw)
    fields = [f"{name}({','.join(value)})" if name == "error" else name for name, value in event.items()]
    return f"{event['type']}: {' '.join(fields)}"


async def write_every_event(engine: Engine) -> None:
    await engine.tick()
    await engine.register(*chain(2))
    (returned,) = await engine.claim(worker="w1")
    await engine.give_back(returned, worker="w1")
    for lost in (1, 2):
        await engine.lose(*await engine.claim(worker="w2"), worker="w2")
        await engine.lapse(max_lost=lost + 1)
    await engine.finish(returned, worker="w1")
    (failed,) = await engine.claim()
    await engine.suspend(failed, payload=b'{"type":"ValueError","message":"no","traceback":"line 1"}')
    await engine.register(task(1))
    await engine.lose(*await engine.claim(worker="w2"), worker="w2")
    await engine.lapse(max_lost=1)
    await engine.register(*chain(2))
    await engine.work_off()


async def test_every_event_type_is_written_and_can_be_decoded(engine: Engine) -> None:
    await write_every_event(engine)
    written = {type(event) for event in await engine.events()}
    assert written == set(AnyEvent.__args__)


async def test_the_scripts_write_only_shapes_that_have_a_golden_file(engine: Engine) -> None:
    await write_every_event(engine)
    golden = {shape(file.read_bytes()) for file in GOLDEN.glob("*/lua*.json")}
    written = {shape(raw) for raw in await engine.raw_events()}
    assert written <= golden, "a new shape needs a golden file: see tests/golden/README.md"
