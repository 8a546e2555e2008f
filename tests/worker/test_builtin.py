"""The programs that every worker serves."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from flower_engine.errors import ParameterError
from flower_engine.programs import builtin
from flower_engine.programs.program_modules import load_programs


class Server:
    """Answers every request as it is told, and keeps what it got."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (200, b'{"ok": true}')
        self.requests: list[tuple[str, bytes]] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line[15:]) for line in head.lower().splitlines() if line.startswith("content-length")
        )
        self.requests.append((head, await reader.readexactly(length)))
        status, body = self.answer
        writer.write(f"HTTP/1.1 {status} Because\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/post"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as listening:
        made.port = listening.sockets[0].getsockname()[1]
        yield made


async def test_post_sends_the_body_as_json_and_returns_status_and_body(server: Server) -> None:
    result = await builtin.http_post_request(server.url, '{"id": "test"}')
    assert result == {"status": 200, "body": '{"ok": true}'}
    ((head, body),) = server.requests
    assert head.startswith("POST /post ") and "content-type: application/json" in head.lower()
    assert body == b'{"id": "test"}'


async def test_post_encodes_a_body_that_is_no_text(server: Server) -> None:
    await builtin.http_post_request(server.url, {"id": 1})
    assert server.requests[0][1] == b'{"id":1}'


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_post_fails_with_status_and_body_of_any_other_answer(server: Server, status: int) -> None:
    server.answer = (status, b"the reason")
    with pytest.raises(httpx.HTTPStatusError, match=f"answered {status} Because: the reason"):
        await builtin.http_post_request(server.url)


async def test_post_keeps_only_the_head_of_a_long_body(server: Server) -> None:
    server.answer = (200, b"x" * 100_000)
    assert len((await builtin.http_post_request(server.url))["body"]) < 10_000


async def test_post_to_nobody_names_the_address() -> None:
    with pytest.raises(ConnectionError, match=r"http://127.0.0.1:9/ got no answer"):
        await builtin.http_post_request("http://127.0.0.1:9/")


async def test_post_that_takes_too_long_says_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "_WHOLE_SECONDS", 0.0)
    with pytest.raises(TimeoutError, match="no whole answer in time"):
        await builtin.http_post_request(server.url)


async def test_sleeping_tells_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert await builtin.echo_param_time_sleep(3) == {"sleptSeconds": 3}
    result = await builtin.echo_random_time_sleep()
    assert slept == [3, result["sleptSeconds"]] and 1 <= slept[1] <= 5


@pytest.mark.parametrize("seconds", ["-1", "soon", ""])
def test_a_sleep_that_is_no_time_is_refused(seconds: str) -> None:
    program = load_programs(()).get("EchoParamTimeSleep")
    assert program is not None
    with pytest.raises(ParameterError, match="'SLEEP_TIME_SECOND'"):
        program.binder.bind({"SLEEP_TIME_SECOND": seconds})


async def test_a_sleep_for_ever_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        await builtin.echo_param_time_sleep(float("inf"))


async def test_the_clock_tells_the_time_in_nanoseconds() -> None:
    before = time.time_ns()
    told = await builtin.clock()
    assert set(told) == {"unixNs"} and before <= int(told["unixNs"]) <= time.time_ns()
