"""The one place that hides secrets: passwords of addresses, and tokens, in every text that people see.

Libraries repeat in their errors what they were given, whole, decoded or cut at the wrong place: so a text is
searched for the values that are known to be secret, in each form in which one may stand there, and for
whatever looks like an address with a password.
"""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote, unquote_plus

HIDDEN = "***"

_SHORTEST = 8  # a shorter value is hidden where it stands alone: else every text would be full of stars
_SHORTEST_PART = 3
_ALONE = r"(?<![0-9A-Za-z]){}(?![0-9A-Za-z])"
_NAMES = r"(?:[a-z_]*pass(?:word|wd|phrase)?|[a-z_]*secret|[a-z_]*token)"
_COLON = re.compile(r":|%3a", re.IGNORECASE)  # encoded by mistake, it still is what a password follows
_SEPARATORS = re.compile(r"[@/?#:,\s]+")
_NO_PORT = re.compile(r":(?!\d+(?:[/?#,]|$))[^/?#,:@\]]*")
_ADDRESS = re.compile(
    r"(?<![a-z0-9+.\-])(?P<before>[a-z][a-z0-9+.\-]*://)(?P<rest>[^\s'\"<>`]*)", re.IGNORECASE
)
_IN_QUERY = re.compile(rf"([?&;]{_NAMES}=)[^&\s'\"]*", re.IGNORECASE)
_VALUE = r"('(?:\\.|[^'\\])*'|(?:\\.|[^\s&'\"\\])+)"
_IN_WORDS = re.compile(rf"(\b{_NAMES}=){_VALUE}", re.IGNORECASE)
_OF_CONNINFO = re.compile(rf"\b{_NAMES}\s*=\s*{_VALUE}", re.IGNORECASE)
_BEARER = re.compile(r"(\bbearer\s+)(?!TOKEN\b)[^\s'\"]+", re.IGNORECASE)
# Words that messages are full of, and that tell nobody anything: a password like that is hidden by its place.
_ORDINARY = frozenset({"flower", "postgres", "postgresql", "redis", "rediss", "valkey", "unix", "default"})


class _Known:
    """The secret values of this process, and the pattern that finds all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self.pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        with self._lock:
            found = self._values | {value for value in values if value and value not in _ORDINARY}
            if found == self._values:
                return
            self._values = found
            longest_first = sorted(found, key=lambda value: (-len(value), value))
            parts = [
                re.escape(value) if len(value) >= _SHORTEST else _ALONE.format(re.escape(value))
                for value in longest_first
            ]
            self.pattern = re.compile("|".join(parts))


_known = _Known()


def learn_address(address: str | None) -> None:
    """From now on nothing shows the passwords of this address, however it is written."""
    if address:
        _known.add(_forms(_passwords_of(address)))


def learn_secrets(secrets: Iterable[str | None]) -> None:
    """From now on nothing shows these values."""
    _known.add(_forms(secret for secret in secrets if secret))


def learn_environment(environment: Mapping[str, str]) -> None:
    """From now on nothing shows the secrets of these variables, be they right or wrong."""
    for name in ("REDIS_URL", "DATABASE_URL", "DATABASE_DIRECT_URL", "DATABASE_READ_URL", "URL"):
        learn_address(environment.get(f"FLOWER_{name}"))
    learn_address(environment.get("FLOWER_TRACES_ENDPOINT"))
    learn_headers(environment.get("FLOWER_TRACES_HEADERS"))
    learn_secrets([environment.get("FLOWER_TOKEN"), environment.get("PGPASSWORD")])
    learn_tokens(environment.get("FLOWER_API_TOKENS"))


def learn_tokens(tokens: str | None) -> None:
    """The same for ``FLOWER_API_TOKENS``: ``name:token:role``, separated by commas."""
    entries = [entry.strip().split(":") for entry in (tokens or "").split(",")]
    learn_secrets(entry[1] for entry in entries if len(entry) > 1)
    learn_secrets(entry[0] for entry in entries if len(entry) == 1)  # the name was left out


def learn_headers(headers: str | None) -> None:
    """The same for ``FLOWER_TRACES_HEADERS``: ``name=value``, separated by commas. Of a value of several
    words (``Bearer ...``) the last one is secret."""
    values = [entry.partition("=")[2].strip() for entry in (headers or "").split(",")]
    learn_secrets(unquote(value).rpartition(" ")[2] for value in values)


def hide_secrets(text: str) -> str:
    """The text, with ``***`` for every secret in it."""
    if "://" in text:
        text = _ADDRESS.sub(_hide_in_address, text)
    if "=" in text:
        text = _IN_WORDS.sub(rf"\1{HIDDEN}", _IN_QUERY.sub(rf"\1{HIDDEN}", text))
    if _known.pattern is not None:
        text = _known.pattern.sub(HIDDEN, text)
    # Without regard to capitals a pattern is looked for at each character: 100 times slower than this.
    return _BEARER.sub(rf"\1{HIDDEN}", text) if "bearer" in text.lower() else text


def _hide_in_address(found: re.Match[str]) -> str:
    user_and_password, rest = _split(found["rest"])
    if user_and_password is None:
        return found[0]
    user, *password = _COLON.split(user_and_password, maxsplit=1)
    return f"{found['before']}{user}{':' + HIDDEN if password else ''}@{rest}"


def _split(rest: str) -> tuple[str | None, str]:
    """What stands before the ``@`` that ends user and password (None: there is none), and what behind it.

    A password should have its ``@``, ``/``, ``?`` and ``#`` percent-encoded; where one has not, as much is
    taken for it as may belong to it.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest.partition("?")[0].partition("#")[0]
    if "@" in authority:
        end = path.rindex("@")
    else:
        _, colon, port = authority.rpartition(":")
        if not colon or port.isdecimal() or "@" not in rest or authority.startswith("["):
            return None, rest
        end = rest.rindex("@")
    return rest[:end], rest[end + 1 :]


def _passwords_of(address: str) -> Iterator[str]:
    """Every value of an address, or of libpq's words, that may be a password or a part of one."""
    _, has_scheme, rest = address.partition("://")
    if has_scheme:
        user_and_password, behind = _split(rest)
        user, password, *_ = *_COLON.split(user_and_password or "", maxsplit=1), ""
        named = _NO_PORT.sub("", behind)  # a port that is none was meant for something else
        other = set(_SEPARATORS.split(f"{unquote(user)} {unquote(named)}"))  # it is no secret, then
        if password not in other:
            yield password
        # What a parser that cuts elsewhere takes for a host, a port, or a database.
        parts = set(_SEPARATORS.split(password)) - other
        yield from (part for part in parts if len(part) >= _SHORTEST_PART)
    for found in re.finditer(rf"[?&;]{_NAMES}=([^&]*)", address, re.IGNORECASE):
        yield found[1]
    if not has_scheme:
        for found in _OF_CONNINFO.finditer(address):
            yield re.sub(r"\\(.)", r"\1", found[1].strip("'"))
            yield found[1]


def _forms(values: Iterable[str]) -> Iterator[str]:
    """Each value as it is given, decoded, encoded, and as Python's repr has it."""
    for value in values:
        for form in (value, unquote(value), unquote_plus(value), unquote(value, errors="surrogateescape")):
            yield form
            yield repr(form)[1:-1]
            yield quote(form, safe="", errors="surrogateescape")
            yield quote(form, errors="surrogateescape")
