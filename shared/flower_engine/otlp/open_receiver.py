"""The receiver that the settings name."""

import re
from urllib.parse import unquote

from flower_engine.errors import SettingsError
from flower_engine.otlp.extra import needs_otel
from flower_engine.otlp.receiver import Protocols, Receiver

_NAME = re.compile(r"[A-Za-z0-9_.-]+(?<!-bin)")  # what gRPC takes, too: there -bin says that bytes follow


def open_receiver(endpoint: str, protocol: Protocols, headers: str) -> Receiver:
    """A receiver that nothing was sent to yet. ``headers``: ``name=value``, separated by commas; a value with
    a comma is encoded as in URLs.

    Raises:
        SettingsError: what is needed to talk to it is not installed, or a header is none.
    """
    given = read_headers(headers)
    with needs_otel():
        if protocol == "grpc":
            from flower_engine.otlp.grpc_receiver import GrpcReceiver  # noqa: PLC0415 # an extra

            return GrpcReceiver(endpoint, given)
        from flower_engine.otlp.http_receiver import HttpReceiver  # noqa: PLC0415 # an extra

        return HttpReceiver(endpoint, given)


def read_headers(text: str) -> dict[str, str]:
    """Headers by name.

    Raises:
        SettingsError: one is no ``name=value``.
    """
    found: dict[str, str] = {}
    for number, part in enumerate([part for part in text.split(",") if part.strip()], start=1):
        name, has_value, value = part.partition("=")
        name, value = name.strip(), unquote(value.strip())
        if not (has_value and _NAME.fullmatch(name) and value.isascii() and value.isprintable()):
            raise SettingsError(f"FLOWER_TRACES_HEADERS: its part {number} is no name=value")
        found[name] = value
    return found
