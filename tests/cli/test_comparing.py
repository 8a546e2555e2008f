"""``flower show --at`` and ``flower diff``."""

import json

import pytest
from typer.testing import CliRunner, Result

from api.serving import RunningApi
from cli.whole_command import app


@pytest.fixture(autouse=True)
def _here(own_api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_URL", own_api.url)
    monkeypatch.setenv("COLUMNS", "200")


def flower(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


async def ended(api: RunningApi, result: bytes, *, fails: bool = False) -> str:
    flow = api.register("etl")
    async with api.engine() as engine:
        await engine.finish(*await engine.claim(worker=flow), worker=flow, payload=result)
        (claim,) = await engine.claim(worker=flow)
        if fails:
            await engine.suspend(claim, worker=flow, payload=b'{"type":"E","message":"no"}')
        else:
            await engine.finish(claim, worker=flow)
    return flow


async def test_two_flows_side_by_side(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    a, b = await ended(own_api, b"1"), await ended(own_api, b"2", fails=True)
    found = json.loads(flower("diff", a, b, "--json").stdout)
    assert [(pair["taskExecSeq"], pair["differs"]) for pair in found["tasks"]] == [
        (1, ["result"]),
        (2, ["status", "error"]),
    ]
    assert (found["tasks"][0]["a"]["result"], found["tasks"][0]["b"]["result"]) == (1, 2)
    assert found["tasks"][0]["a"]["durationSeconds"] >= 0
    shown = flower("diff", a, b).stdout
    assert all(part in shown for part in (a, b, "Suspend", "E: no", "2 of 2 tasks differ"))


async def test_a_flow_now_and_as_it_was(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    flow = await ended(own_api, b"1")
    page = own_api.client.get(f"/flows/{flow}/events").json()
    first = page["events"][0]["position"]
    assert "0 of 2 tasks differ" in flower("diff", flow).stdout
    found = json.loads(flower("diff", f"{flow}@{first}", "--json").stdout)
    assert [(pair["a"]["status"], pair["b"]["status"]) for pair in found["tasks"]] == [
        ("Wait", "Finish"),
        ("Wait", "Finish"),
    ]
    assert "Wait" in flower("show", flow, "--at", first).stdout
    refused = flower("diff", f"{flow}@2020-01-01")
    assert (refused.exit_code, "was registered at" in refused.output) == (1, True)


async def test_a_task_that_only_one_flow_has(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    a = await ended(own_api, b"1")
    own_api.define("etl", {})
    b = own_api.register("etl")
    found = json.loads(flower("diff", a, b, "--json").stdout)["tasks"]
    assert (found[1]["differs"], found[1]["b"]) == (["existence"], None)
    assert "no such task" in flower("diff", a, b).stdout
