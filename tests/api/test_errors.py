"""Failed tasks are grouped by what is the same in them."""

import json
from typing import Any

import pytest

from api.serving import RunningApi, moment
from flower_engine.model.values.message_shapes import shape_of


@pytest.mark.parametrize(
    ("message", "shape"),
    [
        ("no such file: '/data/2026-01-05.csv'", "no such file: '...'"),
        ("row 17 of 20.000 at 12:00:01", "row N of N at N"),
        ("order 018f3c5e-7a10-7000-8000-000000000000 is gone", "order ID is gone"),
        ("\n  object at 0x7f00ab has no name\nmore", "object at ID has no name"),
        ('key "a" and `b`, commit deadbeef12', "key '...' and '...', commit ID"),
        ("facade", "facade"),
        ("", ""),
        ("it's 'x", "it'...'x"),
        ("7" * 100_000, "N"),
        ("'" * 100_000, "'...'" * 40),
    ],
)
def test_the_shape_of_a_message_is_what_stays(message: str, shape: str) -> None:
    assert shape_of(message) == shape


async def fail(api: RunningApi, workflow: str, kind: str, message: str) -> str:
    """A flow whose only task failed so."""
    flow = api.register(workflow)
    async with api.engine() as engine:
        worker = flow[-12:]
        payload = json.dumps({"type": kind, "message": message}).encode()
        await engine.suspend(*await engine.claim(worker=worker), worker=worker, payload=payload)
    await api.project()
    return flow


async def test_tasks_that_failed_alike_are_one_group(own_api: RunningApi) -> None:
    own_api.define("etl", {"program": "A"})
    own_api.define("other", {"program": "A"})
    flows = [await fail(own_api, "etl", "KeyError", f"no row {number}") for number in (1, 2)]
    flows.append(await fail(own_api, "other", "KeyError", "no row 33"))
    flows.append(await fail(own_api, "other", "ValueError", "no row 4"))

    def groups(**query: Any) -> list[tuple[str, str, int, str]]:
        reply = own_api.client.get("/errors", params=query).json()
        assert reply["isAll"]
        return [(one["type"], one["shape"], one["tasks"], one["taskFlowId"]) for one in reply["groups"]]

    assert groups() == [("ValueError", "no row N", 1, flows[3]), ("KeyError", "no row N", 3, flows[2])]
    assert groups(taskId="etl") == [("KeyError", "no row N", 2, flows[1])]
    found = own_api.client.get("/errors").json()["groups"][1]
    assert (found["workflows"], found["message"], found["program"]) == (["etl", "other"], "no row 33", "A")
    assert moment(found["firstTs"]) < moment(found["lastTs"])
    assert groups(since=found["lastTs"])[-1] == ("KeyError", "no row N", 1, flows[2])
    own_api.client.post(f"/flows/{flows[3]}/ignore", json={"tasks": [1]}).raise_for_status()
    await own_api.project()
    assert [kind for kind, *_ in groups()] == ["KeyError"]
