"""What the address of Redis says: one server, the sentinels of a set, or nodes of a cluster; without any I/O.

``redis+cluster://user:password@host:port,host:port`` names some nodes of a cluster, and
``redis+sentinel://user:password@host:port,host:port/NAME/0`` the sentinels that know the primary NAME; with
``rediss`` both speak TLS. All else is an address as redis-py reads it.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

Kind = Literal["single", "cluster", "sentinel"]
Host = tuple[str, int]

_SCHEME = re.compile(r"(rediss?)\+(cluster|sentinel)://(.*)", re.DOTALL)
_HOST = re.compile(r"(?:\[([0-9a-fA-F:.%]+)\]|([^\[\]:@/?#]+))(?::(\d+))?")
_PORTS: dict[str, int] = {"cluster": 6379, "sentinel": 26379}
SENTINEL_WORDS = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True)
class ServerAddresses:
    """``hosts``: whom to ask where the servers are (of one server: nobody). ``url``: an address as redis-py
    reads it, with all that a connection to a server needs but where that is; ``asked_url``: the same for a
    connection to those who are asked. ``name``: of the primary, as the sentinels know it."""

    kind: Kind
    url: str
    hosts: tuple[Host, ...] = ()
    name: str = ""
    asked_url: str = ""


def parse_addresses(url: str) -> ServerAddresses:
    """Raises ValueError: it says why, and how it should be; no password stands in that."""
    found = _SCHEME.fullmatch(url)
    if found is None:
        return ServerAddresses("single", url)
    scheme, kind, rest = found[1], found[2], found[3]
    if "#" in rest:
        raise ValueError("has a #: in a password it is written %23")
    before, _, query = rest.partition("?")
    authority, *paths = before.split("/", 1)
    path = "".join(paths)
    user, at, names = authority.rpartition("@")
    if "@" in user or "@" in path:
        raise ValueError("has a @ or / in a user or password: they are written %40 and %2F")
    hosts = tuple(_host(name, kind) for name in names.split(","))
    options = parse_qsl(query, keep_blank_values=True)
    login, end = f"{user}{at}", f"?{urlencode(options)}" if options else ""
    if kind == "cluster":
        if path not in ("", "0"):
            raise ValueError("should end with its nodes: a cluster has database 0 alone")
        one = f"{scheme}://{login}{written(hosts[0])}/0{end}"
        return ServerAddresses("cluster", one, hosts, asked_url=one)
    name, *databases = path.split("/", 1)
    database = "".join(databases)
    if not name or not re.fullmatch(r"\d*", database, re.ASCII):
        raise ValueError(
            "should end with the name that the sentinels have for the primary, and the number of a database:"
            " redis+sentinel://host:26379,host:26379/mymaster/0"
        )
    own = {word: value for word, value in options if word in SENTINEL_WORDS}
    others = [(word, value) for word, value in options if word not in SENTINEL_WORDS]
    end = f"?{urlencode(others)}" if others else ""
    secret = own.get("sentinel_password", "")
    asked_login = (
        f"{quote(own.get('sentinel_username', ''), safe='')}:{quote(secret, safe='')}@" if own else ""
    )
    return ServerAddresses(
        "sentinel",
        f"{scheme}://{login}{written(hosts[0])}/{database or 0}{end}",
        hosts,
        unquote(name),
        f"{scheme}://{asked_login}{written(hosts[0])}/0{end}",
    )


def _host(text: str, kind: str) -> Host:
    found = _HOST.fullmatch(text)
    if found is None:
        raise ValueError(
            "should name its servers as host:port, separated by commas (an IPv6 address is written [::1])"
        )
    port = int(found[3]) if found[3] else _PORTS[kind]
    if not 0 < port < 65_536:
        raise ValueError(f"port {port} is none that a server listens on")
    return found[1] or found[2], port


def written(host: Host) -> str:
    """``host:port``, for people and for addresses."""
    name = f"[{host[0]}]" if ":" in host[0] else host[0]
    return f"{name}:{host[1]}"
