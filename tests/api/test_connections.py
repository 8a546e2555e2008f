"""No client keeps others waiting, or fills the memory: every part of a connection is bounded. A real process
serves here, and raw sockets ask it."""

import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Self

import httpx
import psutil
import pytest

from flower_api.connection import MAX_HEAD_BYTES, MAX_HEADERS
from flower_api.request_bodies import MAX_BODY_BYTES

_PATIENCE_SECONDS = 60.0
_MB = 1024 * 1024
_HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"
_CHUNKED = b"POST /register" + _HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_SHORT = {"head_seconds": "1.5", "body_seconds": "1.5", "max_connections": "12"}


class ApiProcess:
    """``flower api`` as a process of its own."""

    def __init__(self, redis_url: str, database_url: str, **settings: str) -> None:
        variables = {f"FLOWER_{name.upper()}": value for name, value in settings.items()}
        stores = {"FLOWER_REDIS_URL": redis_url, "FLOWER_DATABASE_URL": database_url, "FLOWER_PORT": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flower_cli", "api"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **stores, **variables},
        )
        self.log: list[str] = []
        assert self._process.stderr is not None
        found = None
        while found is None:
            line = self._process.stderr.readline()
            assert line, "".join(self.log)
            self.log.append(line)
            found = re.search(r"listening on (http://127\.0\.0\.1:(\d+))", line)
        self.url, self.port = found[1], int(found[2])
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.client = httpx.Client(base_url=self.url, timeout=_PATIENCE_SECONDS, verify=False)

    def __enter__(self) -> Self:
        _wait_for(lambda: self.client.get("/readyz").status_code == 200)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stderr is not None
        self.log += self._process.stderr
        self._process.stderr.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE_SECONDS)

    def memory(self) -> int:
        return psutil.Process(self._process.pid).memory_info().rss

    def is_answering(self) -> bool:
        return self.client.get("/healthz").status_code == 200


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def _reply(connection: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    received = b""
    try:
        while data := connection.recv(65_536):
            received += data
    except ConnectionResetError:
        pass
    return received


def _next_reply(connection: socket.socket) -> bytes:
    """The next reply, whole, on a connection that stays open."""
    received = b""
    while not (ended := re.search(rb"(?s)^(.*?\r\n)\r\n", received)):
        data = connection.recv(65_536)
        assert data, received
        received += data
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)\r\n", ended[1])
    assert length is not None, received
    while len(received) < ended.end() + int(length[1]):
        received += connection.recv(65_536)
    return received


def _status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def _send_for_ever(connection: socket.socket, begin: bytes, more: bytes) -> tuple[bytes, int]:
    """Sends ``more`` until the other end has enough; its reply, and how much was sent."""
    sent, received = 0, b""
    connection.sendall(begin)
    connection.settimeout(0.001)
    try:
        while sent < 256 * _MB:
            try:
                data = connection.recv(65_536)
                received += data
                if not data:
                    break
            except TimeoutError:
                pass
            with suppress(TimeoutError):
                sent += connection.send(more)
    except (ConnectionResetError, BrokenPipeError):
        pass
    return received, sent


@pytest.fixture(scope="module")
def stores(valkey_url: str, module_database_url: str) -> tuple[str, str]:
    return valkey_url.replace("db=0", "db=2"), module_database_url


@pytest.fixture(scope="module")
def served(stores: tuple[str, str]) -> Iterator[ApiProcess]:
    with ApiProcess(*stores) as api:
        yield api


@pytest.fixture(scope="module")
def strict(stores: tuple[str, str], served: ApiProcess) -> Iterator[ApiProcess]:
    with ApiProcess(*stores, **_SHORT) as api:
        yield api


@pytest.mark.parametrize(
    ("begin", "more", "status"),
    [
        (b"GET /healthz" + _HEAD + b"X-Long: ", b"x" * 65_536, 431),
        (b"GET /healthz" + _HEAD + b"X-Long-", b"x" * 65_536, 431),
        (b"GET /healthz" + _HEAD, b"X-Many: x\r\n" * 6_000, 431),
        (b"GET /", b"x" * 65_536, 414),
        (b"", b"\r\n" * 30_000, 414),
        (_CHUNKED + b"1;", b"x" * 65_536, 431),
        (_CHUNKED + b"1\r\n[\r\n0\r\nX-Long: ", b"x" * 65_536, 431),
        (_CHUNKED + b"1\r\n[\r\n0\r\n", b"X-Many: x\r\n" * 6_000, 431),
        (_CHUNKED, b"1\r\n \r\n" * 10_000, 413),
        (_CHUNKED, (b"1;" + b"x" * 60_000 + b"\r\n \r\n"), 413),
        (_CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n", 413),
    ],
    ids=[
        "header value",
        "header name",
        "headers",
        "target",
        "empty lines",
        "extension",
        "trailer",
        "trailers",
        "small chunks",
        "long extensions",
        "chunks",
    ],
)
def test_what_never_ends_is_refused_and_nobody_waits_for_it(
    served: ApiProcess, begin: bytes, more: bytes, status: int
) -> None:
    before = served.memory()
    with served.connect() as connection:
        received, _ = _send_for_ever(connection, begin, more)
        assert served.is_answering()
    assert _status(received) == status, received[:300]
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert json.loads(body.partition(b"HTTP/1.1")[0])["status"] == status
    assert served.memory() - before < 64 * _MB


def test_a_head_of_a_bounded_size_is_taken_and_a_longer_one_is_not(served: ApiProcess) -> None:
    for size, status in ((MAX_HEAD_BYTES - 4_096, 200), (MAX_HEAD_BYTES + 8_192, 431)):
        reply = served.client.get("/healthz", headers={"X-Long": "x" * size})
        assert reply.status_code == status
    for count, status in ((MAX_HEADERS - 10, 200), (MAX_HEADERS + 1, 431)):
        reply = served.client.get("/healthz", headers={f"X-{number}": "x" for number in range(count)})
        assert reply.status_code == status


def test_a_header_that_comes_byte_by_byte_is_read(served: ApiProcess) -> None:
    with served.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /healthz" + _HEAD + b"Connection: close\r\n\r\n":
            connection.sendall(bytes([byte]))
        assert _status(_reply(connection)) == 200


def test_trailers_never_become_headers(served: ApiProcess) -> None:
    body = b"2\r\n[]\r\n0\r\nHost: evil.example\r\nOrigin: https://evil.example\r\n\r\n"
    with served.connect() as connection:
        connection.sendall(_CHUNKED + body + b"GET /healthz" + _HEAD + b"Connection: close\r\n\r\n")
        replies = _reply(connection)
    assert replies.count(b"HTTP/1.1 200") == 2


def test_requests_that_come_together_are_answered_in_order(served: ApiProcess) -> None:
    paths = [b"/healthz", b"/none"] * 300
    asked = b"".join(b"GET " + path + _HEAD + b"\r\n" for path in paths)
    received: list[bytes] = []
    with served.connect() as connection:
        reader = threading.Thread(target=lambda: received.append(_reply(connection)))
        reader.start()
        connection.sendall(asked + b"GET /healthz" + _HEAD + b"Connection: close\r\n\r\n")
        reader.join()
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", received[0])
    assert statuses == [b"200", b"404"] * 300 + [b"200"]


@pytest.mark.parametrize("before", [b"", b"GET /healthz" + _HEAD + b"\r\n"], ids=["first", "second"])
@pytest.mark.parametrize("target", [b"CONNECT example.org:443", b"CONNECT x:1", b"GET //[", b"GET http://["])
def test_a_target_that_is_no_url_is_refused(served: ApiProcess, before: bytes, target: bytes) -> None:
    with served.connect() as connection:
        if before:
            connection.sendall(before)
            assert _status(_next_reply(connection)) == 200
        connection.sendall(target + _HEAD + b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        received = _reply(connection)
    assert 400 <= _status(received) < 500, received


def test_a_large_body_is_read_in_pieces(served: ApiProcess) -> None:
    body = b"[" + b" " * (MAX_BODY_BYTES - 2) + b"]"
    reply = served.client.post("/register", content=body, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()) == (200, [])
    pieces = (body[at : at + 100_003] for at in range(0, len(body), 100_003))
    reply = served.client.post("/register", content=pieces, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()) == (200, [])


def test_half_sent_bodies_are_bounded_together(served: ApiProcess) -> None:
    before = served.memory()
    head = b"POST /register" + _HEAD + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with ExitStack() as stack:
        connections = [stack.enter_context(served.connect()) for _ in range(40)]
        for connection in connections:
            with suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(head % MAX_BODY_BYTES + b" " * (MAX_BODY_BYTES - 1))
        assert served.client.post("/register", json=[]).status_code == 200  # a short one is taken
        assert served.memory() - before < 160 * _MB
        replies: dict[socket.socket, bytes] = {}

        def are_refused() -> bool:
            silent = [connection for connection in connections if connection not in replies]
            for connection in select.select(silent, [], [], 0)[0]:
                replies[connection] = b""
                with suppress(ConnectionResetError):
                    replies[connection] = connection.recv(65_536)
            return sum(_status(reply) == 503 for reply in replies.values() if reply) >= 20

        _wait_for(are_refused)
    whole = b"[" + b" " * (MAX_BODY_BYTES - 2) + b"]"

    def is_taken() -> bool:
        reply = served.client.post("/register", content=whole, headers={"Content-Type": "application/json"})
        return reply.status_code == 200

    _wait_for(is_taken)  # what went away gives back what it took


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (b"", None),
        (b"GET /healthz HTT", 408),
        (b"GET /healthz" + _HEAD + b"X-Slow: ", 408),
        (b"POST /register" + _HEAD + b"Content-Length: 100\r\n\r\n[", 408),
        (_CHUNKED + b"1\r\n[\r\n", 408),
        (b"GET /healthz" + _HEAD + b"\r\nGET /healthz" + _HEAD, 200),
    ],
    ids=["nothing", "line", "header", "body", "chunk", "second"],
)
def test_who_stops_in_the_middle_is_not_waited_for_without_end(
    strict: ApiProcess, begun: bytes, status: int | None
) -> None:
    with strict.connect() as connection:
        connection.sendall(begun[:-1])
        time.sleep(0.2)
        with suppress(ConnectionResetError, BrokenPipeError):  # its time was over before that
            connection.sendall(begun[-1:])
        reply = _reply(connection)
    assert (_status(reply) if reply else None) == status


def test_a_request_that_is_begun_together_with_one_before_it_is_not_waited_for_without_end(
    strict: ApiProcess,
) -> None:
    with strict.connect() as connection:
        connection.sendall(b"GET /healthz" + _HEAD + b"\r\nGET /healthz" + _HEAD)
        replies = _reply(connection)
    assert re.findall(rb"HTTP/1\.1 (\d+)", replies) == [b"200", b"408"]


def test_a_body_that_trickles_in_is_not_waited_for_without_end(strict: ApiProcess) -> None:
    with strict.connect() as connection:
        connection.sendall(_CHUNKED)
        received = b""
        connection.settimeout(0.05)
        while not received:
            with suppress(ConnectionResetError, BrokenPipeError):  # it ended just now; it has said why
                connection.sendall(b"1\r\n \r\n")
            with suppress(TimeoutError):
                received = connection.recv(65_536)
        assert _status(received) == 408


def test_beyond_the_number_of_connections_new_ones_are_told_so_and_others_go_on(strict: ApiProcess) -> None:
    with ExitStack() as stack:

        def open_ones() -> Sequence[socket.socket]:
            return [stack.enter_context(strict.connect()) for _ in range(30)]

        _wait_for(strict.is_answering)  # those of tests before this one have gone
        with strict.connect() as known:
            known.sendall(b"GET /healthz" + _HEAD + b"\r\n")
            assert _status(_next_reply(known)) == 200

            def most_are_refused() -> bool:
                # Nothing comes from those that are taken, in the end; which others may come after, where
                # this or the API stands still meanwhile.
                refused = [reply for reply in map(_reply, open_ones()) if reply]
                assert all(_status(reply) == 503 and b"retry-after" in reply.lower() for reply in refused)
                return len(refused) >= 15

            _wait_for(most_are_refused)
            known.sendall(b"GET /healthz" + _HEAD + b"\r\n")
            assert _status(_next_reply(known)) == 200

    def is_answering_anew() -> bool:
        with suppress(httpx.TransportError):  # who is told so is not waited for
            return (
                httpx.get(f"{strict.url}/healthz", timeout=_PATIENCE_SECONDS, verify=False).status_code == 200
            )
        return False

    _wait_for(is_answering_anew)


def test_the_log_tells_no_fault_of_our_own(served: ApiProcess, strict: ApiProcess) -> None:
    for api in (served, strict):
        assert not [line for line in api.log if "Traceback" in line or "Error" in line]
