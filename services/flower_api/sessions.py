"""Sessions of browsers: who gave a token once is known by a cookie, which no script can read.

A session is signed with its token and kept nowhere, so that every API process knows it and one that starts
anew still does. It is over when its time is, and as soon as its token is taken away or changed. A browser
sends cookies by itself, whoever made the request; so what changes something has to bring a second text along
that only pages of this API were told.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from flower_engine.runtime.api_tokens import ApiToken
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock

COOKIE = "flower_session"
CSRF_HEADER = "Flower-CSRF"
LASTS_SECONDS = 12 * 3600


class Session(NamedTuple):
    """A session that holds: whose token began it, what changes have to bring along, and when it is over."""

    token: ApiToken
    csrf: str
    until_seconds: int


class Sessions:
    """Begins sessions and knows them again."""

    def __init__(self, tokens: Sequence[ApiToken], clock: Clock = SYSTEM_CLOCK) -> None:
        self._tokens = {hashlib.sha256(token.name.encode()).hexdigest()[:16]: token for token in tokens}
        self._clock = clock

    def begin(self, token: ApiToken) -> str:
        """The cookie's value for a new session of the token."""
        who = hashlib.sha256(token.name.encode()).hexdigest()[:16]
        until = self._now_seconds() + LASTS_SECONDS
        told = f"{who}.{until}.{secrets.token_hex(8)}"
        return f"{told}.{_sign(token, 'session', told)}"

    def find(self, cookies: str, name: str = COOKIE) -> Session | None:
        """The session that holds of a ``Cookie`` header; ``name``: as :func:`cookie_name` says."""
        return next(filter(None, map(self._session, _values(cookies, name))), None)

    def _session(self, value: str) -> Session | None:
        told, _, given = value.rpartition(".")
        who, _, rest = told.partition(".")
        until = rest.partition(".")[0]
        token = self._tokens.get(who)
        if token is None or not (until.isascii() and until.isdecimal() and len(until) < 12):
            return None
        if not hmac.compare_digest(given.encode(), _sign(token, "session", told).encode()):
            return None
        if int(until) <= self._now_seconds():
            return None
        return Session(token, _sign(token, "csrf", value), int(until))

    def _now_seconds(self) -> int:
        return self._clock.now_ms() // 1000


def _sign(token: ApiToken, purpose: str, text: str) -> str:
    key = hashlib.sha256(b"flower session\0" + token.secret.get_secret_value().encode()).digest()
    return hmac.new(key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()


def cookie_name(host: str) -> str:
    """The cookie's name for a ``Host`` header: with its port, as browsers give a cookie to all ports of a
    host, and each may be an engine of its own."""
    port = host.rpartition(":")[2]
    return f"{COOKIE}_{port}" if port.isascii() and port.isdecimal() and len(port) < 6 else COOKIE


def _values(cookies: str, wanted: str) -> list[str]:
    """Those of all cookies of this name: another path of this host may have set one, too."""
    found: list[str] = []
    for part in cookies.split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted:
            found.append(value.strip())
    return found[:4]
