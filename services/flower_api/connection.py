"""A connection to the API whose every part is bounded: in bytes, in number and in time.

uvicorn's own protocol takes what comes. A header, a chunk's extension or a trailer that never ends is
gathered for ever, and with every piece all of it is copied once more, while nobody else is answered; and who
sends nothing at all is waited for without end. Here the bytes that come without anything being complete are
counted (a head, a chunk, a message), and :meth:`Connection.look`, once a second, ends what is overdue.
"""

import asyncio
from typing import Any

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from flower_api.problems import ProblemError, answer
from flower_api.request_bodies import MAX_BODY_BYTES

MAX_TARGET_BYTES = 16 * 1024
MAX_HEAD_BYTES = 64 * 1024  # also of a chunk's head and extension, and of all trailers
MAX_HEADERS = 100
MAX_SENT_BYTES = 2 * MAX_BODY_BYTES + MAX_HEAD_BYTES  # of a body with the frames of its chunks
MAX_CHUNKS = 100_000  # of a body
BLOBS = b"/blobs/"  # what is put there is longer, and written as it comes
KEEP_ALIVE_SECONDS = 65  # longer than the minute for which proxies and clients keep idle connections
LOOK_SECONDS = 1.0
_LINGER_SECONDS = 2.0  # what still comes is read for so long: closing at once would take the reply along
_MOST_LINGERING = 100
_SLICE_BYTES = (
    4 * 1024
)  # parsed at once; behind it, requests that came along wait until those before are done

_MALFORMED = ProblemError(400, "malformed-request", "this is not HTTP/1.1 as it can be understood")
_TARGET = ProblemError(414, "target-too-long", f"the request line is longer than {MAX_TARGET_BYTES} bytes")
_HEAD = ProblemError(
    431, "headers-too-large", f"there are more than {MAX_HEADERS} headers, or {MAX_HEAD_BYTES} bytes of them"
)
_TRAILERS = ProblemError(
    431, "headers-too-large", f"trailers or the head of a chunk are longer than {MAX_HEAD_BYTES} bytes"
)
_BODY = ProblemError(413, "too-large", f"the body is longer than {MAX_BODY_BYTES} bytes")
_CHUNKS = ProblemError(413, "too-large", f"the body comes in more than {MAX_CHUNKS} chunks")
_LATE = ProblemError(408, "too-slow", "the request did not come to its end in time; send it again")
_CROWDED = ProblemError(
    503,
    "too-many-connections",
    "as many connections are open as may be (FLOWER_MAX_CONNECTIONS); close idle ones, or try again",
    headers={"Retry-After": "2"},
)


class Bounds(msgspec.Struct, frozen=True):
    """What an operator may set: seconds from a request's first byte to the end of its headers, from there to
    the end of its body (of a blob: of each 8 MiB of it), how many connections there may be, and how many
    bytes a blob may have."""

    head_seconds: float = 10.0
    body_seconds: float = 60.0
    connections: int = 1_000
    blob_bytes: int = 1 << 30


class Connection(HttpToolsProtocol):
    """One connection; see the module."""

    def __init__(
        self,
        bounds: Bounds,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._due: float | None = None  # None: it is answered, and nothing is waited for
        self._in_body = False
        self._is_blob = False
        self._timed_bytes = 0  # of a blob, since its time began anew
        self._has_begun = False
        self._is_refused = False
        self._ended_something = False
        self._silent_bytes = 0  # since anything ended
        self._body_bytes = self._chunks = 0
        self._left = b""  # not parsed yet: it waits for the requests before it
        self._refusal: ProblemError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._due = self.loop.time() + self._bounds.head_seconds
        over = len(self.connections) - self._bounds.connections
        if over > _MOST_LINGERING:
            transport.abort()
        elif over > 0:
            self._refuse(_CROWDED)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        if not self._has_begun:
            self._has_begun = True
            self._due = None
        if len(data) <= _SLICE_BYTES and not self._left:
            self._parse(data)
            return
        self._left = self._left + data if self._left else data
        self._parse_left()

    def on_message_begin(self) -> None:
        """Also of a request that begins in the bytes with which the one before it ends."""
        super().on_message_begin()
        self._has_begun = True

    def on_headers_complete(self) -> None:
        self._ended_something = True
        self._body_bytes = self._chunks = 0
        if len(self.url) > MAX_TARGET_BYTES:
            self._refusal = _TARGET
        elif len(self.headers) > MAX_HEADERS:
            self._refusal = _HEAD
        if self._refusal is not None:
            raise self._refusal
        self._due = None  # from here on there is time for the body
        super().on_headers_complete()  # raises for a target that is no URL; then no cycle is this request's
        self._in_body = True
        method = self.parser.get_method()  # pyright: ignore[reportOptionalMemberAccess]
        self._is_blob = self.url.startswith(BLOBS) and method == b"PUT"
        self._timed_bytes = 0
        self.headers = []  # trailers come here, and not among the headers, which are judged already

    def on_chunk_header(self) -> None:
        """The parser calls it at the end of a chunk's head."""
        self._ended_something = True
        self._chunks += 1
        if self._chunks > MAX_CHUNKS and not self._is_blob:
            self._refusal = _CHUNKS
            raise _CHUNKS

    def on_body(self, body: bytes) -> None:
        self._ended_something = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._ended_something = True
        self._in_body = self._has_begun = False
        is_answered = self.cycle.response_complete
        self._due = self.loop.time() + KEEP_ALIVE_SECONDS if is_answered else None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._left and not self.pipeline:
            self.loop.call_soon(self._parse_left)

    def send_400_response(self, msg: str) -> None:
        self._refuse(_MALFORMED)

    def look(self, now: float) -> None:
        """Ends the connection if what it waits for is overdue."""
        if self._due is None or self.transport is None:  # pyright: ignore[reportUnnecessaryComparison]
            return
        if self._is_refused:
            if now > self._due:
                self.transport.abort()
            return
        if self.flow.read_paused or self._is_answering():
            self._due += LOOK_SECONDS  # it is not the client who is waited for
        elif now > self._due:
            if self._has_begun or self._in_body:
                self._refuse(_LATE)
            else:
                self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not (self.cycle.response_complete or self.cycle.more_body)  # pyright: ignore[reportUnnecessaryComparison]

    def _parse_left(self) -> None:
        view, at = memoryview(self._left), 0
        self._left = b""
        while at < len(view) and not (self.pipeline or self._is_refused or self.transport.is_closing()):
            self._parse(view[at : at + _SLICE_BYTES])
            at += _SLICE_BYTES
        if self.pipeline:
            self._left = bytes(view[at:])

    def _parse(self, data: bytes | memoryview) -> None:
        if self.parser is None:  # pyright: ignore[reportUnnecessaryComparison] # the connection is lost
            return
        self._ended_something = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # nothing is upgraded to; the request is answered as it is
            pass
        except httptools.HttpParserError:
            self._refuse(self._refusal or _MALFORMED)
            return
        if self._has_begun and self._due is None:  # most requests come whole, and need no clock
            seconds = self._bounds.body_seconds if self._in_body else self._bounds.head_seconds
            self._due = self.loop.time() + seconds
        self._silent_bytes = 0 if self._ended_something else self._silent_bytes + len(data)
        if self._in_body:
            self._body_bytes += len(data)
            if self._is_blob:
                self._give_time(len(data))
        if self._silent_bytes > MAX_HEAD_BYTES:
            self._refuse(_TRAILERS if self._in_body else _HEAD if self.headers else _TARGET)
        elif self._body_bytes > (self._bounds.blob_bytes if self._is_blob else 0) + MAX_SENT_BYTES:
            self._refuse(_BODY)

    def _give_time(self, size_bytes: int) -> None:
        """A blob has the time of a body for as much as a body may hold, again and again."""
        self._timed_bytes += size_bytes
        if self._timed_bytes > MAX_BODY_BYTES and self._due is not None:
            self._timed_bytes = 0
            self._due = self.loop.time() + self._bounds.body_seconds

    def _refuse(self, problem: ProblemError) -> None:
        """Tells what is wrong, unless another answer is under way, and closes when the client had time to
        read it."""
        self._is_refused = True
        self._left = b""
        cycle = self.cycle
        is_own = self._in_body  # then the cycle is that of the request refused
        if cycle is not None and not cycle.response_complete and not is_own:  # pyright: ignore[reportUnnecessaryComparison]
            cycle.keep_alive = False  # requests before it are answered; then the connection ends
            self._due = None
            return
        if is_own and not cycle.response_complete:
            has_answer = cycle.response_started or bool(self.pipeline)
            cycle.disconnected = True
            cycle.message_event.set()
        else:
            has_answer = is_own
        if not has_answer:
            self.transport.write(self._written(problem))
        self._unset_keepalive_if_required()
        self._due = self.loop.time() + _LINGER_SECONDS
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _written(self, problem: ProblemError) -> bytes:
        reply = answer(problem)
        headers = [*self.server_state.default_headers, *reply.raw_headers, (b"connection", b"close")]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        return b"".join([STATUS_LINE[reply.status_code], lines, b"\r\n", bytes(reply.body)])
