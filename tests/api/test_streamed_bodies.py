"""What is sent piece by piece ends where a store goes away: said in the log, without a traceback."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any, cast

import psycopg
import pytest
from redis.exceptions import ConnectionError as RedisIsAwayError

from flower_api import task_log_text
from flower_api.request_bodies import Bodies
from flower_api.routes import blobs
from flower_engine.errors import StoreUnavailableError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.task_log_lines import LineFilter
from flower_engine.flows.task_log_pages import LogPage
from flower_engine.projection.blobs import contents
from flower_engine.projection.blobs.contents import CHUNK_BYTES, StoredBlob

_AWAY = [
    psycopg.OperationalError("gone"),
    RedisIsAwayError("gone"),
    ConnectionResetError("gone"),
    StoreUnavailableError("Postgres", "gone"),
]
_FLOW = "01930000-0000-7000-8000-0000000000ab"


class _Stores:
    @contextlib.asynccontextmanager
    async def postgres(self) -> AsyncGenerator[None]:
        yield


async def _pieces(stream: AsyncGenerator[bytes]) -> list[bytes]:
    return [piece async for piece in stream]


@pytest.mark.parametrize("error", _AWAY, ids=lambda error: type(error).__name__)
async def test_a_task_log_as_text_says_that_it_ends(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def read(*_: Any) -> LogPage:
        raise error

    monkeypatch.setattr(task_log_text, "read_page", read)
    page = LogPage(_FLOW, [], "1.1.1", is_behind=False)
    stores = cast(PostgresStores, _Stores())
    pieces = await _pieces(task_log_text.all_as_text(stores, page, LineFilter(None, None, 0, None), 10))
    assert pieces[-1] == b"[flower] the rest cannot be read now\n"
    assert f"the log of flow {_FLOW} was sent in part only: " in caplog.text


@pytest.mark.parametrize("error", _AWAY, ids=lambda error: type(error).__name__)
async def test_a_blob_ends_early(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def read(_connection: object, _upload: object, number: int) -> bytes:
        if number:
            raise error
        return b"first"

    monkeypatch.setattr(contents, "read_chunk", read)
    bodies = Bodies(8)
    stored = cast(StoredBlob, type("Stored", (), {"size": 2 * CHUNK_BYTES, "upload": "u"})())
    stream = blobs._content(cast(PostgresStores, _Stores()), "ab" * 32, stored, bodies)  # pyright: ignore[reportPrivateUsage]
    assert await _pieces(stream) == [b"first"]
    assert bodies.bytes == 0
    assert "was sent in part only" in caplog.text
