"""``flower fixture``: a flow of the API as a test."""

import hashlib
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


async def test_a_large_result_is_written_down(flower: Flower, own_api: RunningApi, tmp_path: Path) -> None:
    own_api.define("large", {"taskName": "load"})
    flow = own_api.register("large")
    content = b'"' + b"x" * 70_000 + b'"'
    sha256 = hashlib.sha256(content).hexdigest()
    own_api.client.put(f"/blobs/{sha256}", content=content).raise_for_status()
    async with own_api.engine() as engine:
        ref = b'{"sha256":"%s","bytes":%d,"store":"api"}' % (sha256.encode(), len(content))
        await engine.store(*await engine.claim(), payload=ref)

    written = flower("fixture", flow)

    assert written.exit_code == 0, written.output
    found: dict[str, Any] = {}
    exec(compile(written.stdout, tmp_path / "test_large.py", "exec", dont_inherit=True), found)
    with FlowerTest(programs=Registry()) as test:
        found["test_large"](test)


async def test_a_flow_that_asked_somebody_is_written_down_with_the_answer(
    flower: Flower, own_api: RunningApi, tmp_path: Path
) -> None:
    own_api.define("asks", {"program": "@approval", "taskName": "ok"})
    flow = own_api.register("asks")
    assert flower("answer", flow, "ok", "--yes").exit_code == 0
    await own_api.project()

    written = flower("fixture", flow)

    assert written.exit_code == 0, written.output
    assert "run.answer('ok', {'approved': True}" in written.stdout
    found: dict[str, Any] = {}
    exec(compile(written.stdout, tmp_path / "test_asks.py", "exec", dont_inherit=True), found)
    with FlowerTest(programs=Registry()) as test:
        found["test_asks"](test)
