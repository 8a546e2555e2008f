"""Registration while Postgres is behind: refused beyond a bound, so nothing accepted stays invisible."""

from collections.abc import Callable

from api.serving import RunningApi
from flower_engine.insight.backlog import count_projected
from flower_engine.log.client import send
from flower_projector.trimming import Trimmer


async def test_registrations_are_refused_while_too_much_is_unprojected(
    start_api: Callable[..., RunningApi],
) -> None:
    api = start_api(max_unprojected_events=20)
    api.define("etl", {})
    # In one call: the API looks once a second, and would refuse the last of them if it looked in between.
    reply = api.client.post("/register", json=[{"taskId": "etl"}] * 25)
    assert [entry["status"] for entry in reply.json()] == ["succeeded"] * 25
    api.wait_for(lambda: "26 events" in api.client.get("/readyz").text)
    assert api.client.get("/readyz").status_code == 503
    before = await _log_length(api)
    reply = api.client.post("/register/etl")
    assert reply.status_code == 429
    assert reply.headers["Retry-After"] == "5"
    assert reply.json()["type"].endswith("projection-behind")
    assert reply.json()["unprojectedEvents"] == 26
    assert api.client.post("/register", json=[{"taskId": "etl"}, {"taskId": "etl"}]).status_code == 429
    mixed = api.client.post("/register", json=[{"taskId": "etl"}, {"taskId": "nobody"}])
    assert (mixed.status_code, [entry["code"] for entry in mixed.json()]) == (200, [429, 404])
    assert await _log_length(api) == before
    assert api.client.get("/flows").status_code == 200

    await api.project()
    async with api.engine() as engine:
        (last,) = await send(engine.client, "XREVRANGE", engine.keys.log, "+", "-", "COUNT", 1)
        trimmer = Trimmer(engine.client, engine.partition, api.settings, monotonic=iter(range(9)).__next__)
        await trimmer.run_once(last[0].decode())
        assert await count_projected(engine.client, engine.partition, last[0].decode()) == 26
    api.wait_for(lambda: api.client.post("/register/etl").status_code == 200)
    api.wait_for(lambda: api.client.get("/readyz").status_code == 200)


def test_memory_is_a_bound_too(start_api: Callable[..., RunningApi]) -> None:
    api = start_api(max_unprojected_mb=1)
    api.define("large", {"parameters": {"text": "x" * 20_000}})
    for _ in range(60):
        api.client.post("/register/large")
    api.wait_for(lambda: api.client.post("/register/large").status_code == 429)


async def _log_length(api: RunningApi) -> int:
    async with api.engine() as engine:
        return await send(engine.client, "XLEN", engine.keys.log)
