"""API tokens: who may read, who may operate, and whose name an event carries.

With ``FLOWER_API_TOKENS`` every call needs a bearer token, but for the probes. Without it the API only
listens on loopback (see :func:`refuse_open_doors`), and nobody is asked.
"""

import hmac
import ipaddress
from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from flower_api.problems import ProblemError, answer
from flower_engine.errors import SettingsError
from flower_engine.runtime.api_tokens import ApiToken
from flower_engine.runtime.settings import Settings

PROBES = ("/healthz", "/readyz")  # for those who start and stop services; they need no token
_READS = ("GET", "HEAD", "OPTIONS")
_BY = "flower_by"


class TokenGate:
    """ASGI middleware that lets only known tokens through."""

    def __init__(self, app: ASGIApp, tokens: Sequence[ApiToken]) -> None:
        self._app = app
        self._tokens = [(token, token.secret.get_secret_value().encode()) for token in tokens]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        token = self._token_of(dict(scope["headers"]).get(b"authorization", b""))
        if token is None:
            problem = ProblemError(
                401,
                "unauthorized",
                "this API needs a token: send Authorization: Bearer TOKEN, one of FLOWER_API_TOKENS",
                headers={"WWW-Authenticate": 'Bearer realm="flower"'},
            )
        elif scope["method"] not in _READS and not token.may_operate:
            problem = ProblemError(
                403, "forbidden", f"token {token.name!r} may only read; this takes an operator's token"
            )
        else:
            scope[_BY] = token.name
            await self._app(scope, receive, send)
            return
        await answer(problem)(scope, receive, send)

    def _token_of(self, header: bytes) -> ApiToken | None:
        """The token of the header; every one is compared, so that the time taken tells nothing."""
        kind, _, given = header.partition(b" ")
        found: ApiToken | None = None
        for token, secret in self._tokens:
            if hmac.compare_digest(given.strip(), secret) and kind.lower() == b"bearer":
                found = token
        return found


def by_of(request: Request) -> str:
    """Who asks: the token's name; without tokens "cli" or "api"."""
    name: str | None = request.scope.get(_BY)
    return name or ("cli" if request.headers.get("flower-client") == "cli" else "api")


def refuse_open_doors(settings: Settings) -> None:
    """Without tokens the API is for this machine alone.

    Raises:
        SettingsError: it should listen elsewhere.
    """
    if settings.api_tokens or is_loopback(settings.host):
        return
    raise SettingsError(
        f"without tokens the API listens on loopback only, not on {settings.host!r}: set FLOWER_API_TOKENS"
        " (name:token or name:token:read, separated by commas), or leave FLOWER_HOST at 127.0.0.1"
    )


def is_loopback(name: str) -> bool:
    """Whether the name of a host means this machine alone: localhost, 127.0.0.0/8 or ::1."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
