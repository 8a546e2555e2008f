"""HEAD wherever GET is answered: the same reply without its body, which the server leaves out."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

_ASKED = "flower_asked"


class Heads:
    """ASGI middleware that answers HEAD as GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope.get("method") == "HEAD":  # a copy: the server looks at its own to know that no body goes out
            scope = {**scope, "method": "GET", _ASKED: "HEAD"}
        return self._app(scope, receive, send)


def method_of(scope: Scope) -> str:
    """The method that the client sent."""
    return scope.get(_ASKED, scope["method"])
