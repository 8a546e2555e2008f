"""Bodies of requests: bounded, and JSON that every later reader can read."""

from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from flower_api.problems import ProblemError

MAX_BODY_BYTES = 8 * 1024 * 1024
_FREE_BYTES = 64 * 1024  # of each body
_READING = ("GET", "HEAD")
_MOST_DIGITS = 19  # more would be longer in any case, and int() takes only so many


class Bodies:
    """All bodies together, from their first byte until they are answered: so much of memory they may take.

    The beginning of a body does not count, so that a few long ones never keep the short ones out.
    """

    def __init__(self, most_mb: int) -> None:
        self.most_bytes = most_mb * 1024 * 1024
        self.bytes = 0

    def take(self, size_bytes: int) -> None:
        """Counts more of a body.

        Raises:
            ProblemError: there is no room for it now.
        """
        if self.bytes + size_bytes > self.most_bytes:
            raise ProblemError(
                503,
                "too-many-bodies",
                f"bodies of {self.bytes:,} bytes are being read, and no more than {self.most_bytes:,} may be"
                " (FLOWER_MAX_BODIES_MB); send it again in a moment",
                headers={"Retry-After": "2"},
            )
        self.bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """What was counted is gone."""
        self.bytes -= size_bytes


class StrictRequest(Request):
    """A request whose body is bounded, and whose JSON has no NaN, lone surrogates or endless nesting."""

    _bytes: bytes | None = None
    _taken_bytes = 0

    def end(self) -> None:
        """The request is answered."""
        if self._taken_bytes:
            self._bodies.give_back(self._taken_bytes)
            self._taken_bytes = 0

    @property
    def _bodies(self) -> Bodies:
        return self.app.state.bodies

    async def body(self) -> bytes:
        if self._bytes is None:
            self._bytes = await self._read()
            if self._bytes and not self._is_json():
                raise ProblemError(
                    415,
                    "unsupported-media-type",
                    "the body must be JSON, with Content-Type: application/json",
                )
        return self._bytes

    async def json(self) -> Any:
        try:
            return msgspec.json.decode(await self.body())
        except RecursionError:
            raise ProblemError(400, "invalid-json", "the body is nested too deeply") from None
        except ValueError as error:  # not UTF-8, or not JSON
            raise ProblemError(400, "invalid-json", f"the body is not JSON: {error}") from None

    async def _read(self) -> bytes:
        announced = self.headers.get("content-length", "0").lstrip("0")
        if len(announced) > _MOST_DIGITS or (announced.isdecimal() and int(announced) > MAX_BODY_BYTES):
            raise _too_large()
        chunks: list[bytes] = []
        size_bytes = 0
        async for chunk in self.stream():
            size_bytes += len(chunk)
            if size_bytes > MAX_BODY_BYTES:
                raise _too_large()
            more_bytes = size_bytes - _FREE_BYTES - self._taken_bytes
            if more_bytes > 0:
                self._bodies.take(more_bytes)
                self._taken_bytes += more_bytes
            chunks.append(chunk)
        return b"".join(chunks)

    def _is_json(self) -> bool:
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


class StrictRoute(APIRoute):
    """A route that reads its request as a :class:`StrictRequest`."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            if request.method not in _READING and "dryRun" in request.query_params:
                raise ProblemError(
                    422,
                    "invalid-request",
                    'dryRun counts in the body alone, {"dryRun": true} of calls that have dry runs; nothing'
                    " was done",
                )
            strict = StrictRequest(request.scope, request.receive)
            try:
                return await handle(strict)
            finally:
                strict.end()

        return handle_strictly


def _too_large() -> ProblemError:
    return ProblemError(413, "too-large", f"the body is longer than {MAX_BODY_BYTES} bytes")
