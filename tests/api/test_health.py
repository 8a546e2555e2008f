"""/healthz and /readyz: what is alive, and what is missing."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.serving import RunningApi, details
from flower_engine.embedded.home import Home
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.log.client import send
from flower_engine.transitions.installation_transitions import halt
from memory_folder import memory_folder


def test_an_api_that_is_alive_and_ready_says_so(api: RunningApi) -> None:
    assert api.client.get("/healthz").json() == {"status": "alive"}
    ready = api.client.get("/readyz").json()
    assert ready["status"] == "ready"
    assert [one["name"] for one in ready["dependencies"]] == [
        "engine",
        "Redis",
        "Postgres",
        "projection",
        "definitions",
        "work",
    ]
    assert all(one["ready"] for one in ready["dependencies"])


async def _lose(api: RunningApi) -> None:
    async with api.engine() as engine:
        await send(engine.client, "FLUSHDB")


async def _halt(api: RunningApi) -> None:
    async with api.engine() as engine:
        await halt(engine.client, engine.partition, "the projector found a gap")


@pytest.mark.parametrize(("do_harm", "said"), [(_lose, "lost"), (_halt, "the projector found a gap")])
async def test_redis_that_lost_its_state_is_told_everywhere(
    own_api: RunningApi, do_harm: Callable[[RunningApi], object], said: str
) -> None:
    own_api.define("here", {})
    projected, not_projected = own_api.register("here"), ""
    await own_api.project()
    not_projected = own_api.register("here")
    await do_harm(own_api)  # type: ignore[misc]
    reply = own_api.client.get("/readyz")
    assert reply.status_code == 503
    assert any("Redis: partition 0" in problem and said in problem for problem in details(reply))
    for reply in (
        own_api.client.post("/register/here"),
        own_api.client.post("/register", json=[{"taskId": "here"}] * 2),
    ):
        assert reply.status_code == 503
        assert reply.json()["type"] == "urn:flower:problem:redis-lost"
        assert "Retry-After" in reply.headers
    assert own_api.client.get("/healthz").status_code == 200
    assert own_api.flow(projected)["taskFlowId"] == projected
    if do_harm is _lose:
        assert own_api.client.get(f"/flows/{not_projected}").status_code == 503
        assert own_api.client.post("/register/unknown").status_code == 404


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    """A Valkey that the test may stop."""
    made = tempfile.TemporaryDirectory(prefix="flower-api-", dir=memory_folder())
    with made as folder, Home(Path(folder)) as home:
        server = EmbeddedValkey(home, durable=False)
        yield server
        server.stop()


def test_redis_that_is_down_is_named_until_it_is_back(
    start_api: Callable[..., RunningApi], valkey: EmbeddedValkey
) -> None:
    api = start_api(redis_url=valkey.start())
    api.define("later", {})
    flow_id = api.register("later")
    valkey.stop()
    for reply in (
        api.client.post("/register/later"),
        api.client.post("/register", json=[{"taskId": "later"}]),
        api.client.get(f"/flows/{flow_id}"),
        api.client.get("/workers"),
    ):
        assert reply.status_code == 503
        assert reply.json()["store"] == "Redis"
        assert "Retry-After" in reply.headers
        details(reply)
    (problem,) = details(api.client.get("/readyz"))
    assert problem.startswith("Redis: ")
    assert api.client.get("/workflows").status_code == 200
    valkey.start()
    api.wait_for(lambda: api.client.get("/readyz").status_code == 200)
    assert api.flow(flow_id)["taskId"] == "later"
    api.register("later")
