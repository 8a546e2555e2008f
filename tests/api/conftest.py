"""An API for a test module, and one of its own for a test that does harm to the stores."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from api.serving import RunningApi
from databases import fresh_database
from flower_engine.log.client import connect_blocking, send_blocking
from own_secrets import own_secrets


@pytest.fixture(scope="module")
def module_database_url(postgres_url: str, with_tables: str) -> Iterator[str]:
    """A database with Flower's tables and nothing in them, for a module."""
    with fresh_database(postgres_url, with_tables) as url:
        yield url


@pytest.fixture(scope="module")
def start_shared_api(valkey_url: str, module_database_url: str) -> Iterator[Callable[..., RunningApi]]:
    """Starts an API, with the settings given, that the tests of a module share. Its Redis is another database
    than that of a test of its own stores, which empties it."""
    redis_url = valkey_url.replace("db=0", "db=1")
    with connect_blocking(redis_url) as client:
        send_blocking(client, "FLUSHDB")
    with own_secrets(), ExitStack() as stack:

        def start(**settings: Any) -> RunningApi:
            usual: dict[str, Any] = {"redis_url": redis_url, "database_url": module_database_url}
            return stack.enter_context(RunningApi(**usual | settings))

        yield start


@pytest.fixture(scope="module")
def api(start_shared_api: Callable[..., RunningApi]) -> RunningApi:
    """A running API that the tests of a module share; they use workflows of their own."""
    return start_shared_api()


@pytest.fixture
def start_api(redis_url: str, database_url: str) -> Iterator[Callable[..., RunningApi]]:
    """Starts an API on stores that are the test's own, with the settings given."""
    with ExitStack() as stack:

        def start(**settings: Any) -> RunningApi:
            usual: dict[str, Any] = {"redis_url": redis_url, "database_url": database_url}
            return stack.enter_context(RunningApi(**usual | settings))

        yield start


@pytest.fixture
def own_api(start_api: Callable[..., RunningApi]) -> RunningApi:
    """A running API on stores that are the test's own."""
    return start_api()
