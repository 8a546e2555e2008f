"""Counts the requests that the API answers, for metrics."""

from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flower_api.head_requests import method_of
from flower_engine.tallies import CALL_SECONDS, Tally, stopwatch

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
_OTHER = "other"
_WAITS = (b"wait=", b"follow=")


class RequestCounts:
    """By method and status, and how long the answers of each route took to begin. A client cannot make more
    of these than there are methods, statuses and routes."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, Tally] = {}

    def add(self, scope: Scope, status: int, seconds: float) -> None:
        """A request of this scope was answered."""
        method = method_of(scope)
        self.answered[method if method in _METHODS else _OTHER, str(status)] += 1
        if any(word in scope["query_string"] for word in _WAITS):
            return  # it took as long as whoever asked wanted to wait
        route = scope.get("route")
        name = getattr(route, "path", _OTHER)
        tally = self.seconds.get(name)
        if tally is None:
            tally = self.seconds[name] = Tally(CALL_SECONDS)
        tally.add(seconds)


class Counted:
    """ASGI middleware that counts what the app answers."""

    def __init__(self, app: ASGIApp, counts: RequestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = stopwatch()

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._counts.add(scope, message["status"], stopwatch() - began)
            await send(message)

        await self._app(scope, receive, counting)
