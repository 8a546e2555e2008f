"""Flows that really are old are pruned beside operators who rerun them: their engine lived three days ago."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory_folder import memory_folder
from recovery import past
from recovery.command import flower


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="flower-past-", dir=memory_folder()) as folder:
        yield Path(folder)


async def _lived_in(folder: Path, clock: dict[str, str], count: int) -> list[str]:
    tests = str(Path(past.__file__).parent.parent)
    process = await asyncio.create_subprocess_exec(
        sys.executable, past.__file__, str(folder), str(count),
        env={**os.environ, **clock, "PYTHONPATH": tests},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode().split()


async def test_what_is_rerun_beside_a_prune_keeps_its_history_and_the_rest_goes(folder: Path) -> None:
    clock = past.clock_of(days=3)
    if clock is None:
        pytest.skip("libfaketime is not here (apt-get install faketime, or pip install libfaketime)")
    ended_again, under_way, old, older = await _lived_in(folder, clock, 4)
    with past.engine(folder) as api:
        async with api.engine() as engine:
            api.register("etl")  # what lies at the projected position would stay
            await engine.work_off()
            await api.project()
            for flow_id in (ended_again, under_way):
                reply = api.client.post(f"/flows/{flow_id}/rerun", json={"selection": "all"})
                assert reply.status_code == 200, reply.text
            (claim,) = [claim for claim in await engine.claim(2) if claim.flow == ended_again]
            await engine.finish(claim)
            (claim,) = [claim for claim in await engine.claim(2) if claim.flow == ended_again]
            await engine.finish(claim)
            code, text = await flower(api.settings, "prune", "--older-than", "1d", words=9)
            assert (code, "2 flows and 11 events went" in text) == (0, True), text
            await api.project()
            for flow_id in (old, older):
                reply = api.client.post(f"/flows/{flow_id}/rerun", json={"selection": "all"})
                assert reply.status_code == 404, reply.text
            events = api.client.get(f"/flows/{ended_again}/events").json()["events"]
            assert [entry["event"]["v"] for entry in events] == list(range(1, 11))
            assert api.flow(under_way)["version"] >= 6
            code, text = await flower(api.settings, "verify", words=99)
            assert code == 0, text
