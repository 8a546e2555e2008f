"""What the role of the API has set (ALTER ROLE ... SET) changes no answer."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from api.serving import RunningApi
from projection.hostile import make_hostile


@pytest.mark.no_tables
async def test_every_list_is_answered_as_without_it(
    start_api: Callable[..., RunningApi], database_url: str
) -> None:
    make_hostile(database_url)  # before anything is there, so that the tables are made by such a role, too
    api = start_api(database_direct_url=database_url)
    api.define("etl", {}, {"dependsOn": [1]})
    flow = api.register("etl")
    async with api.engine() as engine:
        (claim,) = await engine.claim(1)
        await engine.suspend(claim)
    await api.project()
    for path in ("/flows", f"/flows/{flow}", "/tasks", "/workflows", "/workflows/etl", "/limits", "/strikes"):
        reply = api.client.get(path)
        assert reply.status_code == 200, (path, reply.text)
    told = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]+)"', api.client.get("/tasks").text)
    times = [datetime.fromisoformat(text) for text in told]
    assert times
    assert {moment.utcoffset() for moment in times} == {timedelta(0)}
    assert abs(times[0] - datetime.now(UTC)) < timedelta(hours=1)  # no day and month changed places
