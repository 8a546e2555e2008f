"""What a service tells of itself at FLOWER_METRICS_PORT, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import httpx
import pytest

from flower_engine.errors import SettingsError
from flower_engine.runtime import service_endpoint as endpoint
from flower_engine.runtime.service_endpoint import Answer, service_endpoint
from flower_engine.runtime.settings import Settings
from worker.running import eventually


async def _hello() -> Answer:
    return Answer(200, "text/plain", b"hello\n")


async def _breaks() -> Answer:
    raise RuntimeError("this page is broken")


async def _never() -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


PAGES = {"/hello": _hello, "/breaks": _breaks, "/never": _never}


@contextlib.asynccontextmanager
async def _serving(**settings: object) -> AsyncGenerator[httpx.AsyncClient]:
    with_port = Settings.model_validate({"metrics_port": 0, **settings})
    async with service_endpoint(with_port, PAGES) as url:
        assert url is not None
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60, verify=False) as client:
            yield client


async def _is_refused(client: httpx.AsyncClient) -> bool:
    return (await client.get("/hello")).status_code == 503


async def _raw(client: httpx.AsyncClient, sent: bytes) -> bytes:
    """What comes back, whole; the other side closes."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    with contextlib.closing(writer):
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        return await reader.read()


async def test_without_a_port_nothing_listens() -> None:
    async with service_endpoint(Settings.model_validate({}), PAGES) as url:
        assert url is None


async def test_a_page_is_told_to_whoever_asks_for_it() -> None:
    async with _serving() as client:
        reply = await client.get("/hello?verbose=1")
        assert (reply.status_code, reply.text) == (200, "hello\n")
        assert reply.headers["content-type"] == "text/plain"


async def test_it_listens_on_this_machine_only_unless_told() -> None:
    async with _serving() as client:
        assert client.base_url.host == "127.0.0.1"
    async with _serving(metrics_host="::1") as client:
        assert (await client.get("/hello")).status_code == 200


async def test_other_paths_and_methods_are_refused_in_words() -> None:
    async with _serving() as client:
        missing = await client.get("/metric")
        assert missing.status_code == 404
        assert "/hello" in missing.text
        posted = await client.post("/hello")
        assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


async def test_whoever_wants_the_head_alone_gets_it() -> None:
    async with _serving() as client:
        whole, head = await client.get("/hello"), await client.head("/hello")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers == whole.headers


async def test_a_page_that_fails_is_a_500_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with _serving() as client:
        failed = await client.get("/breaks")
        assert failed.status_code == 500
        assert "broken" not in failed.text
        assert (await client.get("/hello")).status_code == 200
    assert "/breaks of this service failed" in caplog.text


async def test_a_page_that_takes_too_long_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_PAGE_SECONDS", 0.05)
    async with _serving() as client:
        assert (await client.get("/never")).status_code == 503


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /hello HTTP/1.1\r\n\r\n", b"200"),
        (b"GET http://127.0.0.1/hello HTTP/1.1\r\n\r\n", b"404"),
        (b"GET  /hello HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /hello\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"\0\xff\r\n\r\n", b"400"),
        (b"GET /hello HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", b"431"),
        (b"GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403"),
        (b"GET /hello HTTP/1.1\r\nHost: [::1\r\n\r\n", b"403"),
        (b"GET /hello HTTP/1.1\r\nHost: LOCALHOST:9\r\n\r\n", b"200"),
    ],
)
async def test_whatever_is_sent_has_an_answer(sent: bytes, status: bytes) -> None:
    async with _serving() as client:
        answer = await _raw(client, sent)
        assert answer.split(b" ")[1] == status, answer
        assert (await client.get("/hello")).status_code == 200


async def test_whoever_sends_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_HEAD_SECONDS", 0.05)
    async with _serving() as client:
        assert (await _raw(client, b"GET /hello HT")).split(b" ")[1] == b"408"


async def test_no_more_than_so_many_are_answered_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "_MOST_CONNECTIONS", 1)
    async with _serving() as client:
        waiting = asyncio.create_task(_raw(client, b"GET /never HTTP/1.1\r\n\r\n"))
        await eventually(lambda: _is_refused(client))
    assert await waiting == b""  # the end of the service does not wait for the page


async def test_two_services_on_one_port_are_told_what_to_do() -> None:
    async with _serving() as client:
        port = urlsplit(str(client.base_url)).port
        with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{port} .* FLOWER_METRICS_PORT each, or 0"):
            async with _serving(metrics_port=port):
                pass


async def test_a_host_that_is_none_is_a_wrong_setting() -> None:
    for host in ("no.such.host.invalid", "x" * 300, "1.2.3.4.5"):
        with pytest.raises(SettingsError, match="FLOWER_METRICS_HOST"):
            async with _serving(metrics_host=host):
                pass
