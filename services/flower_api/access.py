"""API tokens: who may read, who may operate, and whose name an event carries.

With ``FLOWER_API_TOKENS`` every call needs a bearer token or a session that one began, but for the probes,
answers by a signed link, and what a browser needs until it has a session. Without it the API only listens on
loopback (see :func:`refuse_open_doors`), and nobody is asked.
"""

import hmac
import ipaddress
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from flower_api.problems import ProblemError, answer
from flower_api.refusals import RefusalsLoop
from flower_api.sessions import CSRF_HEADER, Session, Sessions, cookie_name
from flower_engine.errors import SettingsError
from flower_engine.model.waits.answer_links import PREFIX as ANSWERS
from flower_engine.runtime.api_tokens import ApiToken
from flower_engine.runtime.settings import Settings

PROBES = ("/healthz", "/readyz")  # for those who start and stop services; they need no token
LOGIN = ("/login", "/logout", "/session")  # these know by themselves who asks
_READS = ("GET", "HEAD", "OPTIONS")
_BY = "flower_by"
_ROLES = "flower_roles"


def is_page(path: str) -> bool:
    """Whether it is the dashboard's page or a file of it: the same for everybody, with nothing to hide."""
    return path == "/" or path.startswith("/ui/")


def is_open(path: str) -> bool:
    """Whether nobody needs a token for it."""
    return path in PROBES or path in LOGIN or path.startswith(ANSWERS) or is_page(path)


class KnownTokens:
    """The tokens that let somebody in."""

    def __init__(self, tokens: Sequence[ApiToken]) -> None:
        self._tokens = [(token, token.secret.get_secret_value().encode()) for token in tokens]

    def find(self, given: bytes) -> ApiToken | None:
        """The token with this secret; every one is compared, so that the time taken tells nothing."""
        found: ApiToken | None = None
        for token, secret in self._tokens:
            if hmac.compare_digest(given, secret):
                found = token
        return found


class TokenGate:
    """ASGI middleware that lets only known tokens through, and sessions that these began."""

    def __init__(
        self,
        app: ASGIApp,
        tokens: Sequence[ApiToken],
        sessions: Sessions,
        refusals: RefusalsLoop | None = None,
    ) -> None:
        self._app = app
        self._refusals = refusals
        self._tokens = KnownTokens(tokens)
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or is_open(path):
            await self._app(scope, receive, self._counted(scope, send))
            return
        headers = dict(scope["headers"])
        header = headers.get(b"authorization")
        session = None if header is not None else self._session_of(scope)
        token = self._token_of(header or b"") if session is None else session.token
        if token is None:
            problem = ProblemError(
                401,
                "unauthorized",
                "this API needs a token: send Authorization: Bearer TOKEN, one of FLOWER_API_TOKENS",
                headers={"WWW-Authenticate": 'Bearer realm="flower"'},
            )
        elif session is not None and scope["method"] not in _READS and not _brings(headers, session):
            problem = ProblemError(
                403,
                "csrf",
                f"a change in a session has to bring {CSRF_HEADER} along, as GET /session tells it: load the"
                " page anew",
            )
        elif scope["method"] not in _READS and not token.may_operate:
            problem = ProblemError(
                403, "forbidden", f"token {token.name!r} may only read; this takes an operator's token"
            )
        else:
            scope[_BY] = token.name
            scope[_ROLES] = frozenset(token.roles)
            await self._app(scope, receive, self._counted(scope, send, token))
            return
        await answer(problem)(scope, receive, self._counted(scope, send, token))

    def _counted(self, scope: Scope, send: Send, token: ApiToken | None = None) -> Send:
        if self._refusals is None or scope["type"] != "http":
            return send
        return self._refusals.watching(scope, send, token and token.name)

    def _token_of(self, header: bytes) -> ApiToken | None:
        kind, _, given = header.partition(b" ")
        found = self._tokens.find(given.strip())
        return found if kind.lower() == b"bearer" else None

    def _session_of(self, scope: Scope) -> Session | None:
        cookies = [value for name, value in scope["headers"] if name == b"cookie"]
        if not cookies:
            return None
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        return self._sessions.find(b";".join(cookies).decode("latin-1"), cookie_name(host))


def _brings(headers: Mapping[bytes, bytes], session: Session) -> bool:
    given = headers.get(CSRF_HEADER.lower().encode(), b"")
    return hmac.compare_digest(given, session.csrf.encode())


def by_of(request: Request) -> str:
    """Who asks: the token's name; without tokens "cli" or "api"."""
    name: str | None = request.scope.get(_BY)
    return name or ("cli" if request.headers.get("flower-client") == "cli" else "api")


def roles_of(request: Request) -> frozenset[str]:
    """The roles of the token of whoever asks."""
    return request.scope.get(_ROLES) or frozenset()


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
