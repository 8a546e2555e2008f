"""Whose requests are taken: what keeps web pages of others from driving an API that asks for no token.

A browser on the machine of somebody who runs Flower sends what any web page tells it to. Such a request
shows in one of two ways: it has another site's ``Origin`` (or ``Sec-Fetch-Site: cross-site``), or another
site's name in ``Host``, which its owner has pointed at 127.0.0.1 (DNS rebinding). No page can send a token of
others, so with tokens only ``FLOWER_ALLOWED_HOSTS`` counts, and the probes are open to all; but nobody may be
logged in, or out, by a page of others. The dashboard's own page may be come to by a link from anywhere.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from flower_api.access import LOGIN, PROBES, is_loopback, is_page
from flower_api.problems import ProblemError, answer
from flower_engine.model.values.quoting import short
from flower_engine.model.waits.answer_links import PREFIX as ANSWERS

_MOST_KNOWN = 100
_SHOWS = ("GET", "HEAD")
_OF_BROWSERS = (b"origin", b"sec-fetch-site")


class HostGate:
    """ASGI middleware that refuses requests for other hosts, and without tokens those of other sites."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str], *, has_tokens: bool) -> None:
        """``allowed``: names of hosts, besides loopback; with tokens and none given, any."""
        self._app = app
        self._allowed = frozenset(name.lower().strip("[]") for name in allowed)
        self._has_tokens = has_tokens
        self._takes_any = has_tokens and not allowed
        self._known: set[bytes] = set()  # Host headers that were found right

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (not self._takes_any or scope["path"] in LOGIN):
            problem = self._problem(scope)
            if problem is not None:
                await answer(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> ProblemError | None:
        if self._has_tokens and scope["path"] in PROBES:
            return None
        host, is_of_browser = b"", False
        for name, value in scope["headers"]:
            if name == b"host":
                if not self._takes_any and value not in self._known and not self._is_ours(value):
                    return _foreign_host(value)
                host = value
            elif name in _OF_BROWSERS:
                is_of_browser = True
        is_asked = not self._has_tokens or scope["path"] in LOGIN
        if not (is_of_browser and is_asked) or (_is_shown(scope["path"]) and scope["method"] in _SHOWS):
            return None
        return self._foreign_site(scope, host)

    def _is_ours(self, header: bytes) -> bool:
        if not self._is_allowed(_name_of(f"http://{header.decode('latin-1')}")):
            return False
        if len(self._known) < _MOST_KNOWN:
            self._known.add(header)
        return True

    def _is_allowed(self, name: str) -> bool:
        return name in self._allowed or is_loopback(name)

    def _foreign_site(self, scope: Scope, host: bytes) -> ProblemError | None:
        for name, value in scope["headers"]:
            if name == b"sec-fetch-site" and value.lower() == b"cross-site":
                return _foreign("Sec-Fetch-Site", "cross-site")
            if name == b"origin" and not self._is_own_origin(value.decode("latin-1"), host.decode("latin-1")):
                return _foreign("Origin", value.decode("latin-1"))
        return None

    def _is_own_origin(self, origin: str, host: str) -> bool:
        """Whether a page of this API has it: it names the host asked, or one that is allowed by name (which
        a proxy may have replaced by loopback). A page of another port of this machine is another site."""
        scheme, _, place = origin.lower().partition("://")
        if scheme not in ("http", "https"):
            return False
        default = ":443" if scheme == "https" else ":80"
        own = host.lower()
        return place.removesuffix(default) == own.removesuffix(default) or _name_of(origin) in self._allowed


def _is_shown(path: str) -> bool:
    """Whether to show it to whoever comes from another site does no harm: a page, or what a link of a mail
    leads to."""
    return is_page(path) or path.startswith(ANSWERS)


def _name_of(url: str) -> str:
    """The host that a URL names, in small letters and without port; "" if it is none."""
    try:
        split = urlsplit(url)
        split.port  # noqa: B018 # raises where the port is none
    except ValueError:
        return ""
    is_bare = not (split.path or split.query or split.fragment or "@" in split.netloc)
    return (split.hostname or "").lower() if is_bare else ""


def _foreign_host(header: bytes) -> ProblemError:
    given = short(header.decode("latin-1"))
    return ProblemError(
        403,
        "foreign-host",
        f"this API does not answer for the host {given!r}: ask it as 127.0.0.1 or localhost, or name the host"
        " in FLOWER_ALLOWED_HOSTS",
    )


def _foreign(header: str, value: str) -> ProblemError:
    return ProblemError(
        403,
        "foreign-site",
        f"the request comes from a page of another site ({header}: {short(value)}), which may log nobody in"
        " and, where this API asks for no token, do nothing else: name that site's host in"
        " FLOWER_ALLOWED_HOSTS, or set FLOWER_API_TOKENS",
    )
