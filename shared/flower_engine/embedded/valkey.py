"""A private Valkey: durable, and open to its owner only."""

import os
import signal
import subprocess
from pathlib import Path
from typing import IO
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from flower_engine.embedded import binaries
from flower_engine.embedded.processes import spawn
from flower_engine.embedded.server import Server

_ANSWER_SECONDS = 5.0


class EmbeddedValkey(Server):
    """The Valkey of one data folder."""

    name = "valkey"
    program = "valkey-server"
    socket = "valkey.sock"
    ending = (signal.SIGTERM,)

    @property
    def _data(self) -> Path:
        return self._home.valkey

    def _prepare(self) -> None:
        """Nothing: the server makes all it needs."""

    def _spawn(self, sockets: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        options: dict[str, str | Path] = {
            "port": "0",
            "unixsocket": sockets / self.socket,
            "unixsocketperm": "700",
            "dir": self._data,
            "appendonly": "yes",
            "appendfsync": "always" if self._durable else "no",
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            # XADD of a long entry that opens a node may leave the stream with the address of memory that was
            # freed, where the node before it moves as it is cut to its size: so only full nodes are, which
            # fit already (decision 0058).
            "stream-node-max-bytes": "0",
            "stream-node-max-entries": "64",
            "always-show-logo": "no",
            "daemonize": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        command = [binaries.valkey_server(), *words]
        return spawn(
            command,
            folder=self._data,
            output=output,
            dies_by=self.ending[0],
            environment=_environment(binaries.allocator()),
        )

    def _why_not_ready(self, sockets: Path) -> str | None:
        path = str(sockets / self.socket)
        with redis.Redis(
            unix_socket_path=path, retry=Retry(NoBackoff(), 0), socket_timeout=_ANSWER_SECONDS
        ) as client:
            try:
                client.ping()  # pyright: ignore[reportUnknownMemberType] # redis-py leaves it untyped
            except RedisError as error:  # it says so itself while it loads its data
                return str(error)
        return None

    def _url(self, sockets: Path) -> str:
        return f"unix://{quote(str(sockets / self.socket))}?db=0"


def _environment(allocator: Path | None) -> dict[str, str]:
    """Ours, with the allocator: glibc's costs Valkey half as much CPU again, see decision 0021.
    Whoever preloads something already knows better."""
    environment = dict(os.environ)
    if allocator is not None:
        environment.setdefault("LD_PRELOAD", str(allocator))
    return environment
