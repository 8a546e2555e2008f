"""Where the API of ``flower up`` listens, and whether it is ready."""

import http.client
import json
import socket
from dataclasses import dataclass

from flower_engine.errors import SettingsError

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
_PROBE_SECONDS = 1.0


@dataclass(frozen=True)
class ApiAddress:
    """A host to reach the API by (not the one it binds, which may be all of them) and its port."""

    host: str
    port: int

    @classmethod
    def choose(cls, host: str, port: int) -> "ApiAddress":
        """Check that the API can listen there; port 0 becomes a free one.

        Raises:
            SettingsError: the port is in use, or the host is none of this machine.
        """
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM
            )[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                bound: int = probe.getsockname()[1]
        except OSError as error:
            raise SettingsError(
                f"the API cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or choose "
                "another with --port or FLOWER_PORT (0: any free one)"
            ) from error
        return cls(_EVERYWHERE.get(host, host), bound)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def missing(self) -> str | None:
        """What the API still waits for; None when it is ready."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_PROBE_SECONDS)
        try:
            connection.request("GET", "/readyz")
            reply = connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        finally:
            connection.close()
        return None if reply.status == http.client.OK else _summary(body)


def _summary(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body))
    except ValueError:
        return body.decode(errors="replace")[:200]
