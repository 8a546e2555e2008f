"""A light HTTP/1.1 client: it sends prepared bytes, so that the server is what is measured."""

import asyncio
import time
from collections.abc import Sequence
from typing import cast


def post(path: str, body: bytes = b"") -> bytes:
    """The bytes of a POST on a connection that stays open."""
    head = (
        f"POST {path} HTTP/1.1",
        "Host: bench",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class _Connection(asyncio.Protocol):
    """Sends its request again and again until the shared number of requests is used up."""

    def __init__(self, request: bytes, left: list[int], bodies: list[bytes], done: asyncio.Event) -> None:
        self._request = request
        self._left = left
        self._bodies = bodies
        self._done = done
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no instances of it
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = bytes(self._received).partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._transport.close()  # the caller sees that replies are missing
            return
        self._bodies.append(body)
        self._received.clear()
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._done.set()

    def _send(self) -> None:
        if self._left[0] > 0:
            self._left[0] -= 1
            self._transport.write(self._request)
        else:
            self._transport.close()


async def load(
    host: str, port: int, request: bytes, *, requests: int, clients: int
) -> tuple[float, Sequence[bytes]]:
    """Sends so many requests over so many connections; returns the seconds and the reply bodies."""
    loop = asyncio.get_running_loop()
    left, bodies = [requests], list[bytes]()
    ends = [asyncio.Event() for _ in range(clients)]
    began = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: _Connection(request, left, bodies, end), host, port)
    for end in ends:
        await end.wait()
    seconds = time.perf_counter() - began
    if len(bodies) != requests:
        raise RuntimeError(f"{len(bodies)} of {requests} requests were answered with 200")
    return seconds, bodies
