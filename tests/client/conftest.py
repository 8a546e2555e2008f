"""One API for each module here; its tests use workflows of their own."""

from collections.abc import Iterator

import pytest

from api.conftest import api, module_database_url, start_api, start_shared_api
from api.serving import RunningApi
from chaos.proxy import Proxy
from flower_engine.client import Client

__all__ = ["api", "module_database_url", "start_api", "start_shared_api"]


@pytest.fixture(scope="module")
def client(api: RunningApi) -> Iterator[Client]:
    with Client(api.url) as client:
        yield client


@pytest.fixture(scope="module")
def proxy(api: RunningApi) -> Iterator[Proxy]:
    """Stands before the API, and loses replies when told to."""
    with Proxy(int(api.url.rpartition(":")[2])) as proxy:
        yield proxy
