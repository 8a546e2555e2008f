"""What can be wrong with a setting, where its type and bounds do not say it.

Each function takes a value and gives what it means, or raises ValueError, in words that repeat no secret.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo

from flower_engine.runtime.api_tokens import read_tokens
from flower_engine.runtime.store_addresses import check_database_url, check_redis_url

_MAX_WEIGHT = 1_000.0


def long_enough(value: SecretStr | None) -> SecretStr | None:
    """Secrets of links, separated by blanks."""
    short = value is not None and any(len(one) < 16 for one in value.get_secret_value().split() or [""])
    if short:
        raise ValueError("a secret of links has 16 characters or more")
    return value


def tokens(value: Any) -> Any:
    """Tokens of the API, as a variable gives them."""
    return read_tokens(value) if isinstance(value, str) else value


def names(value: Any) -> Any:
    """Names, separated by commas or given one by one."""
    parts: Iterable[str] = [value] if isinstance(value, str) else value
    return tuple(word.strip() for part in parts for word in part.split(",") if word.strip())


def weighted_queues(value: tuple[str, ...]) -> tuple[str, ...]:
    """Queues, each perhaps with a weight."""
    names: set[str] = set()
    for entry in value:
        name, has_weight, weight = entry.rpartition("=")
        if not has_weight:
            continue
        if not name:
            raise ValueError(f"{entry!r} has no name of a queue before its weight")
        if not re.fullmatch(r"\d+(\.\d+)?", weight, re.ASCII) or not 0 < float(weight) <= _MAX_WEIGHT:
            raise ValueError(
                f"the weight of queue {name!r} is {weight!r}, which is no number above 0 up to"
                f" {_MAX_WEIGHT:g} (a queue whose name has a = in it needs a weight: {entry}=1)"
            )
        if name in names:
            raise ValueError(f"queue {name!r} stands twice")
        names.add(name)
    return value


def names_of_hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    """Names of hosts, and nothing else of a URL."""
    for name in value:
        if not re.fullmatch(r"[\w.-]+|\[?[\da-fA-F:.]+\]?", name):
            raise ValueError(f"{name!r} is no name of a host: give it without scheme, port and path")
    return value


def grants(value: tuple[str, ...]) -> tuple[str, ...]:
    """Which workflows may have which secrets."""
    for grant in value:
        workflow, _, name = grant.rpartition(":")
        if not workflow or not name:
            raise ValueError(f"{grant!r} is no workflow:NAME")
    return value


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Where webhooks may go."""
    for network in value:
        if network not in ("public", "private", "loopback"):
            try:
                ip_network(network)
            except ValueError as error:
                raise ValueError(
                    f"{network!r} is none of public, private, loopback, and no network: {error}"
                ) from None
    return value


def commands(value: tuple[str, ...]) -> tuple[str, ...]:
    """Commands that hooks may run."""
    for command in value:
        name, _, path = command.partition("=")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", name) or not path.startswith("/"):
            raise ValueError(f"{command!r} is no name=/absolute/path (letters, digits and _.- in the name)")
    return value


def url_of_http(value: str | None) -> str | None:
    """A URL of HTTP."""
    if value is not None and not re.match(r"https?://[^/?#\s]", value):
        raise ValueError("it is no URL of HTTP, as http://127.0.0.1:8000 is")
    return value


def with_host(value: str | None) -> str | None:
    """A URL that names a host."""
    if value is not None:
        parts = urlsplit(value)
        if not parts.hostname or parts.port == 0:  # a port that is none raises ValueError itself
            raise ValueError("it names no host, as http://127.0.0.1:4318 does")
    return value


def stores_of_blobs(value: tuple[str, ...]) -> tuple[str, ...]:
    """Stores of blobs, which every process finds."""
    for store in value:
        if store != "api" and not re.match(r"[a-z][a-z0-9+.-]*://?[^\s]", store):
            raise ValueError(f"{store!r} is neither api nor a URL, as file:///srv/blobs is")
        _refuse_store(store)
    return value


def store_of_lines(value: str | None) -> str | None:
    """A store of lines of task logs."""
    if value is not None:
        if not re.match(r"[a-z][a-z0-9+.-]*://?[^\s]", value):
            raise ValueError(f"{value!r} is no URL, as file:///srv/task-logs is")
        _refuse_store(value)
    return value


def in_capitals(value: Any) -> Any:
    """A word in whatever letters."""
    return value.upper() if isinstance(value, str) else value


def in_small_letters(value: Any) -> Any:
    """A word in whatever letters."""
    return value.lower() if isinstance(value, str) else value


def without_tilde(value: Path | None) -> Path | None:
    """A path as the system knows it."""
    return value and value.expanduser()


def address_of_redis(value: str | None) -> str | None:
    """An address that the client of Redis can use."""
    if value is not None:
        check_redis_url(value)
    return value


def address_of_postgres(value: str | None) -> str | None:
    """An address that the client of Postgres can use."""
    if value is not None:
        check_database_url(value)
    return value


def beats_twice_a_lease(value: float, info: ValidationInfo) -> float:
    """Heartbeats that are seldom enough, and often enough for a lease."""
    lease_seconds: float | None = info.data.get("lease_seconds")  # absent if it is wrong itself
    if lease_seconds is not None and value >= lease_seconds / 2:
        raise ValueError(
            f"should be less than half of FLOWER_LEASE_SECONDS ({lease_seconds:g}), "
            "so that one lost heartbeat does not lose a lease"
        )
    return value


def _refuse_store(store: str) -> None:
    """Raises ValueError where a URL of a store is none that several processes can use."""
    if "@" in urlsplit(store).netloc:  # every result would show it
        raise ValueError(
            "a URL with a user or password would stand in events: give them to fsspec by its own"
            " variables (FSSPEC_S3_KEY) or the store's"
        )
    kind, _, place = store.partition("://")
    if store.startswith("memory:"):
        raise ValueError(
            f"{store!r} is the memory of one process: what is stored there is gone with it, and no"
            " other process finds it; take api, or a URL of a folder or bucket"
        )
    if kind in ("file", "local") and not place.startswith("/"):
        raise ValueError(
            f"{store!r} depends on the folder that each process runs in: write an absolute path, as"
            " file:///srv/blobs is"
        )
