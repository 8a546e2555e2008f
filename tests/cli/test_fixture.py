"""``flower fixture``: a flow of the API as a test."""

from pathlib import Path
from typing import Any

from api.serving import RunningApi
from cli.flower_command import Flower
from flower_engine.programs.registry import Registry
from flower_engine.testing import FlowerTest


async def test_a_flow_is_printed_as_a_test_that_passes(
    flower: Flower, own_api: RunningApi, tmp_path: Path
) -> None:
    own_api.define("etl", {"taskName": "load"}, {"taskName": "store"})
    flow = own_api.register("etl")
    under_way = flower("fixture", flow)
    async with own_api.engine() as engine:
        await engine.finish(*await engine.claim(), payload=b'{"rows": [1, 2]}')
        (claim,) = await engine.claim()
        await engine.suspend(claim, payload=b'{"type":"shop.OutOfPaper","message":"no"}')

    written = flower("fixture", flow)

    assert (under_way.exit_code, written.exit_code) == (1, 0)
    assert "it is under way" in under_way.stderr
    file = tmp_path / "test_etl.py"
    file.write_text(written.stdout)
    found: dict[str, Any] = {}
    exec(compile(written.stdout, file, "exec", dont_inherit=True), found)
    with FlowerTest(programs=Registry()) as test:
        found["test_etl"](test)
