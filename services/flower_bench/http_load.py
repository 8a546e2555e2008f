"""A light HTTP/1.1 client: it sends prepared bytes, so that the server is what is measured.

:func:`load` is a closed loop: each connection sends its next request when the last one is answered.
:func:`load_on_schedule` is an open loop: requests fall due at fixed times whatever the answers do.
"""

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast
from urllib.parse import quote

import msgspec

from flower_bench.deployment import BenchError, Deployment

_ANSWER_SECONDS = 60.0


class Answered(NamedTuple):
    """An answer: when its request was due, when sent, when it was here (ns since 1970), and its body."""

    due_ns: int
    sent_ns: int
    answered_ns: int
    body: bytes

    def flows(self) -> list[str]:
        """The flows that the answer to a registration names, single or bulk."""
        if self.body.startswith(b"["):
            return [one.flow for one in msgspec.json.decode(self.body, type=list[_Registered])]
        return [msgspec.json.decode(self.body, type=_Registered).flow]


class _Registered(msgspec.Struct):
    flow: str = msgspec.field(name="taskFlowId")


def register_call(deployment: Deployment, workflow: str, flows: int = 1) -> bytes:
    """The bytes of a registration: a single call, or a bulk call for more than one flow."""
    headers = {"Host": deployment.authority, **deployment.headers}
    if flows == 1:
        return post(f"/register/{quote(workflow, safe='')}", headers=headers)
    return post("/register", msgspec.json.encode([{"taskId": workflow}] * flows), headers=headers)


def post(path: str, body: bytes = b"", *, headers: Mapping[str, str]) -> bytes:
    """The bytes of a POST on a connection that stays open; the headers name the host."""
    head = (
        f"POST {path} HTTP/1.1",
        "Content-Type: application/json",
        *(f"{name}: {text}" for name, text in headers.items()),
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    """One request at a time; tells its owner the answer's body, or that it came to an end."""

    def __init__(
        self, answered: Callable[["_Connection", bytes], None], ended: Callable[["_Connection", str], None]
    ) -> None:
        self._answered = answered
        self._ended = ended
        self._received = bytearray()
        self._refused = ""
        self.due_ns = 0
        self.sent_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no instances of it

    def send(self, request: bytes, due_ns: int) -> None:
        self.due_ns, self.sent_ns = due_ns, time.time_ns()
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = bytes(self._received).partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._received.clear()
        if head.startswith(b"HTTP/1.1 200"):
            self._answered(self, body)
        else:
            first = head.partition(b"\r\n")[0]
            self._refused = f"{first.decode(errors='replace')}: {body[:300].decode(errors='replace')}"
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(self, self._refused or (str(exc) if exc else "the API closed the connection"))


class _Load(ABC):
    """The connections of one load and what they got; ``done`` is set at the end, good or bad."""

    def __init__(self, request: bytes, requests: int) -> None:
        self.request = request
        self.requests = requests
        self.answers: list[Answered] = []
        self.error: str | None = None
        self.done = asyncio.Event()
        self._connections: list[_Connection] = []

    async def connect(self, deployment: Deployment, count: int) -> list[_Connection]:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, connection = await loop.create_connection(
                lambda: _Connection(self.on_answer, self._on_end), deployment.host, deployment.port
            )
            self._connections.append(connection)
        return self._connections

    def on_answer(self, connection: _Connection, body: bytes) -> None:
        self.answers.append(Answered(connection.due_ns, connection.sent_ns, time.time_ns(), body))
        if len(self.answers) == self.requests:
            self.done.set()
        else:
            self.go_on(connection)

    @abstractmethod
    def go_on(self, connection: _Connection) -> None:
        """The connection is free."""

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def _on_end(self, _: _Connection, why: str) -> None:
        if not self.done.is_set():
            self.error = why
            self.done.set()

    def check(self) -> list[Answered]:
        if self.error:
            raise BenchError(f"{len(self.answers)} of {self.requests} requests were answered: {self.error}")
        return self.answers


class _Closed(_Load):
    def __init__(self, request: bytes, requests: int) -> None:
        super().__init__(request, requests)
        self.left = requests

    def go_on(self, connection: _Connection) -> None:
        if self.left > 0:
            self.left -= 1
            connection.send(self.request, time.time_ns())


class _Open(_Load):
    def __init__(self, request: bytes, requests: int) -> None:
        super().__init__(request, requests)
        self._free: list[_Connection] = []
        self._waiting: deque[int] = deque()

    def arrive(self, due_ns: int) -> None:
        """A request is due: it goes out at once, or with the next connection that is free."""
        if self._free:
            self._free.pop().send(self.request, due_ns)
        else:
            self._waiting.append(due_ns)

    def go_on(self, connection: _Connection) -> None:
        if self._waiting:
            connection.send(self.request, self._waiting.popleft())
        else:
            self._free.append(connection)


async def load(
    deployment: Deployment, request: bytes, *, requests: int, clients: int
) -> tuple[float, list[Answered]]:
    """Sends so many requests over so many connections; returns the seconds and the answers."""
    closed = _Closed(request, requests)
    try:
        connections = await closed.connect(deployment, clients)
        began = time.perf_counter()
        for connection in connections:
            closed.go_on(connection)
        await closed.done.wait()
        seconds = time.perf_counter() - began
    finally:
        closed.done.set()
        closed.close()
    return seconds, closed.check()


async def load_on_schedule(
    deployment: Deployment, request: bytes, *, requests: int, per_second: float, clients: int
) -> list[Answered]:
    """Sends a request every ``1 / per_second`` seconds; ``due_ns`` of an answer is its time on the schedule.

    Whoever counts from there has corrected for coordinated omission: a request that had to wait because the
    answers before it were late has waited from when it was due.
    """
    loop, stopped = asyncio.get_running_loop(), threading.Event()
    opened = _Open(request, requests)
    step_ns = 1e9 / per_second

    def pace() -> None:
        # In a thread, because the timers of an event loop are only good to a millisecond.
        began_ns = time.time_ns()
        for number in range(requests):
            due_ns = began_ns + round(number * step_ns)
            left_ns = due_ns - time.time_ns()
            if left_ns > 0:
                time.sleep(left_ns / 1e9)
            if stopped.is_set():
                return
            loop.call_soon_threadsafe(opened.arrive, due_ns)

    pacer = threading.Thread(target=pace, name="pacer", daemon=True)
    try:
        for connection in await opened.connect(deployment, clients):
            opened.go_on(connection)
        pacer.start()
        async with asyncio.timeout(requests / per_second + _ANSWER_SECONDS):
            await opened.done.wait()
    except TimeoutError:
        opened.error = f"no more answers within {_ANSWER_SECONDS:g} s of the last request"
    finally:
        stopped.set()
        opened.done.set()
        opened.close()
        if pacer.is_alive():
            pacer.join()
    return opened.check()
