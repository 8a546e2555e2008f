"""Postgres that stands still, or takes too long: requests are answered in time."""

import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from api.serving import RunningApi, details
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.flows import postgres_stores
from flower_engine.projection import database
from memory_folder import memory_folder
from prepared_postgres import prepare_postgres
from standing_still import stands_still


@pytest.fixture
def postgres() -> Iterator[EmbeddedPostgres]:
    """A Postgres that the test may stop."""
    made = tempfile.TemporaryDirectory(prefix="flower-api-", dir=memory_folder())
    with made as folder, Home(Path(folder)) as home:
        prepare_postgres(home)
        server = EmbeddedPostgres(home, durable=False)
        yield server
        server.stop()


@contextmanager
def stalled(postgres: EmbeddedPostgres) -> Generator[None]:
    """All its processes stand still while inside."""
    assert postgres.pid is not None
    with stands_still(postgres.pid):
        yield


def test_a_postgres_that_stands_still_is_answered_with_503_and_used_again_afterwards(
    start_api: Callable[..., RunningApi], postgres: EmbeddedPostgres
) -> None:
    api = start_api(database_url=postgres.start())
    api.define("here", {})
    flow = api.register("here")
    with stalled(postgres):
        reply = api.client.get(f"/flows/{flow}")
        assert reply.status_code == 503
        assert reply.json()["store"] == "Postgres"
    api.wait_for(lambda: api.client.get(f"/flows/{flow}").status_code == 200)


def test_a_statement_that_is_given_up_does_not_wait_for_postgres_to_agree(
    start_api: Callable[..., RunningApi],
    postgres: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(database, "_CHECK_SECONDS", 1_000.0)
    api = start_api(database_url=postgres.start())
    with stalled(postgres), monkeypatch.context() as patience:
        patience.setattr(postgres_stores, "_QUERY_SECONDS", 0.5)
        reply = api.client.get("/workflows")
        assert reply.status_code == 503
        assert "query not terminated" not in caplog.text  # what psycopg alone says, after waiting for that
        assert "did not answer in 0.5 s" in details(reply)[0]
    api.wait_for(lambda: api.client.get("/workflows").status_code == 200)


async def test_postgres_ends_a_statement_that_takes_too_long_and_the_connection_is_kept(
    database_url: str,
) -> None:
    async with database.make_pool(database_url, "test", max_size=1, statement_seconds=1.0) as pool:
        async with pool.connection() as connection:
            before = connection.info.backend_pid
            with pytest.raises(psycopg.errors.QueryCanceled):
                await connection.execute("SELECT pg_sleep(600)")
        async with pool.connection() as connection:
            assert connection.info.backend_pid == before
