"""``/metrics`` of the API: how the engine stands, for whoever has a token; also while a store is away."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.serving import RunningApi
from flower_api import engine_gauges
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.log.client import send
from flower_engine.runtime.metrics.catalogue import METRICS, MOST_LABELS
from memory_folder import memory_folder
from metrics.scraping import Page, scrape
from prepared_postgres import prepare_postgres

_TOKENS = "alice:s3cret-token,prometheus:other-token:read"


@pytest.fixture(autouse=True)
def _always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_gauges, "_FRESH_SECONDS", 0.0)


def test_it_takes_a_token_that_may_read(start_api: Callable[..., RunningApi]) -> None:
    api = start_api(api_tokens=_TOKENS)
    assert api.client.get("/metrics").status_code == 401
    page = scrape(api.url, Authorization="Bearer other-token")
    assert page.value("flower_http_requests_total", method="GET", status="401") == 1


def test_it_is_told_at_the_port_for_metrics_without_a_token(
    start_api: Callable[..., RunningApi], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        start_api(api_tokens=_TOKENS, metrics_port=0)
    [said] = [record.getMessage() for record in caplog.records if "telling of" in record.getMessage()]
    url = said.partition(" at ")[2].partition(": ")[0]
    assert scrape(url).value("flower_store_up", store="redis") == 1


async def test_ready_tasks_are_told_by_queue_with_those_that_nobody_serves(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    own_api.define("lonely", {"queue": "gpu"}, {"queue": "gpu", "dependsOn": []})
    for name in ("etl", "etl", "lonely"):
        own_api.register(name)
    async with own_api.engine():  # a worker attends the queue "default"
        pass
    before = scrape(own_api.url)
    assert before.value("flower_ready_tasks", queue="default") == 2
    assert before.value("flower_ready_tasks", queue="gpu") == 2
    assert before.value("flower_queue_workers", queue="gpu") == 0
    assert before.value("flower_running_tasks", queue="gpu") == 0
    assert before.value("flower_projection_lag_events") >= 3
    assert before.value("flower_projection_lag_seconds") >= 0
    # Since when they are ready is known where they are projected.
    assert ("flower_oldest_ready_seconds", (("queue", "gpu"),)) not in before.samples
    await own_api.project()
    own_api.sql("UPDATE kr_task_stat SET registered_ts = now() - interval '90 s' WHERE queue = 'gpu'")
    after = scrape(own_api.url)
    assert 90 <= after.value("flower_oldest_ready_seconds", queue="gpu") < 3_600
    assert 0 <= after.value("flower_oldest_ready_seconds", queue="default") < 90
    assert after.value("flower_open_flows") == 3


async def test_queues_beyond_so_many_are_told_together(
    own_api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_gauges, "MOST_LABELS", 2)
    own_api.define("a", {"queue": "a"}, {"queue": "a", "dependsOn": []}, {"queue": "a", "dependsOn": []})
    own_api.define("b", {"queue": "b"}, {"queue": "b", "dependsOn": []})
    for name in ("c", "d", "other"):
        own_api.define(name, {"queue": name})
    for name in ("a", "b", "c", "d", "other"):
        own_api.register(name)
    async with own_api.engine() as engine:
        await engine.attend("a", "b", "c", "d", "other")
    await own_api.project()
    page = scrape(own_api.url)
    told = {labels: value for (name, labels), value in page.samples.items() if name == "flower_ready_tasks"}
    assert told == {(("queue", "a"),): 3, (("queue", "b"),): 2, (("queue", "other"),): 3}
    assert page.value("flower_oldest_ready_seconds", queue="other") > 0


async def test_limits_are_told_as_the_share_that_is_used(own_api: RunningApi) -> None:
    own_api.client.put("/limits/program/A", json={"maxRunning": 4}).raise_for_status()
    own_api.client.put("/limits/workflow/etl", json={"limitBy": "day", "maxPerKey": 1}).raise_for_status()
    own_api.client.put("/limits/queue/slow", json={"isPaused": True}).raise_for_status()
    async with own_api.engine() as engine:
        await send(engine.client, "HSET", engine.keys.running, "p:A", 3)
    page = scrape(own_api.url)
    assert page.value("flower_limit_used_ratio", scope="program", name="A") == 0.75
    assert len([name for name, _ in page.samples if name == "flower_limit_used_ratio"]) == 1
    assert page.value("flower_paused_scopes") == 1


@pytest.fixture
def stores() -> Iterator[tuple[EmbeddedValkey, EmbeddedPostgres]]:
    """Stores that the test may end."""
    made = tempfile.TemporaryDirectory(prefix="flower-api-", dir=memory_folder())
    with made as folder, Home(Path(folder)) as home:
        prepare_postgres(home)
        valkey, postgres = EmbeddedValkey(home, durable=False), EmbeddedPostgres(home, durable=False)
        yield valkey, postgres
        valkey.stop()
        postgres.stop()


def _up(page: Page) -> tuple[float, float]:
    return page.value("flower_store_up", store="redis"), page.value("flower_store_up", store="postgres")


def test_a_store_that_is_away_is_told_and_the_rest_goes_on(
    stores: tuple[EmbeddedValkey, EmbeddedPostgres], start_api: Callable[..., RunningApi]
) -> None:
    valkey, postgres = stores
    api = start_api(redis_url=valkey.start(), database_url=postgres.start())
    api.define("etl", {})
    assert _up(scrape(api.url)) == (1, 1)
    postgres.stop()
    page = scrape(api.url)
    assert _up(page) == (1, 0)
    assert page.value("flower_log_bytes") > 0
    assert "flower_open_flows" not in {name for name, _ in page.samples}
    valkey.stop()
    page = scrape(api.url)
    assert _up(page) == (0, 0)
    assert page.value("flower_http_requests_total", method="PUT", status="201") == 1
    assert {name for name in page.families if name.startswith("flower_")} == {
        name for name, metric in METRICS.items() if "api" in metric.services
    }


def test_what_nobody_describes_and_waits_are_counted_without_lines_of_their_own(own_api: RunningApi) -> None:
    own_api.define("etl", {})
    flow = own_api.register("etl")
    for number in range(20):
        own_api.client.get(f"/none/{number}")
    for verb in ("PROPFIND", "MKCOL"):
        own_api.client.request(verb, "/flows")
    own_api.client.get(f"/flows/{flow}?wait=0.01")
    page = scrape(own_api.url)
    assert page.value("flower_http_request_seconds_count", route="other") == 20
    assert page.value("flower_http_requests_total", method="other", status="405") == 2
    assert page.value("flower_http_request_seconds_count", route="/flows/{task_flow_id}") == 0
    routes = {labels for name, labels in page.samples if name == "flower_http_request_seconds_count"}
    assert len(routes) < MOST_LABELS
