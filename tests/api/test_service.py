"""The service: where it listens, what it waits for, and how it ends."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from api.serving import PATIENCE_SECONDS, RunningApi, details
from flower_engine.errors import InstallationError, SettingsError
from flower_engine.log import durability
from flower_engine.log.client import connect_blocking, send_blocking

pytestmark = pytest.mark.no_tables  # most begin as an engine does where nothing is there


def test_an_address_in_use_is_refused_with_the_setting_named(api: RunningApi) -> None:
    port = int(api.url.rpartition(":")[2])
    with pytest.raises(SettingsError, match=f"{port}.*FLOWER_PORT"):
        RunningApi(**api.settings.model_dump(include={"redis_url", "database_url"}), port=port)


def test_it_listens_on_ipv6_too(redis_url: str, database_url: str) -> None:
    with RunningApi(redis_url=redis_url, database_url=database_url, host="::1") as api:
        assert api.url.startswith("http://[::1]:")


def test_it_answers_before_its_stores_do_and_says_what_it_waits_for(database_url: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # not listening: connections are refused
        api = RunningApi(redis_url=f"redis://127.0.0.1:{closed.getsockname()[1]}", database_url=database_url)
        try:
            assert api.client.get("/healthz").status_code == 200
            problems = details(api.client.get("/readyz"))
            assert any(problem.startswith("Redis: ") for problem in problems)
            reply = api.client.post("/register", json=[])
            assert reply.status_code in (200, 503)
            assert api.client.get("/workers").status_code == 503
        finally:
            api.stop()


def test_stores_that_do_not_belong_together_end_it(redis_url: str, database_url: str) -> None:
    with connect_blocking(redis_url) as client:
        fields = ("installation", "other", "generation", "1", "partitions", "2")
        send_blocking(client, "HSET", "{flower:0}:meta", *fields)
    api = RunningApi(redis_url=redis_url, database_url=database_url)
    with pytest.raises(InstallationError, match="2 partitions"):
        api.wait_until_it_ends()


def test_it_ends_gracefully_answering_what_is_under_way(redis_url: str, database_url: str) -> None:
    with RunningApi(redis_url=redis_url, database_url=database_url) as api:
        api.define("ending", {})
        started: list[int] = []

        def register_until_it_ends() -> list[int]:
            statuses: list[int] = []
            with httpx.Client(base_url=api.url, timeout=PATIENCE_SECONDS, verify=False) as client:
                try:
                    while True:
                        statuses.append(client.post("/register/ending").status_code)
                        started.append(1)
                except httpx.TransportError:
                    return statuses

        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(register_until_it_ends) for _ in range(4)]
            api.wait_for(lambda: len(started) > 100)
            api.stop()
            statuses = [status for client in clients for status in client.result()]
        assert set(statuses) == {200}
        with connect_blocking(redis_url) as client:
            keys = send_blocking(client, "KEYS", "{flower:0}:flow:*")
        assert 0 <= len(keys) - len(statuses) <= 4


async def test_idle_connections_do_not_hold_up_the_end(redis_url: str, database_url: str) -> None:
    api = RunningApi(redis_url=redis_url, database_url=database_url)
    port = int(api.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    api.stop()
    writer.close()


def test_it_serves_and_says_what_holds_where_a_failover_left_one_node(
    start_api: Callable[..., RunningApi], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(durability, "_WAIT_MS", 50)
    api = start_api(durability="replicated")
    api.define("alone", {})
    reply = api.client.post("/register/alone").json()
    assert (reply["status"], reply["durability"]) == ("succeeded", "memory")
    assert "no replica of Redis confirmed" in caplog.text
