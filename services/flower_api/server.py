"""uvicorn inside our own loop: our signals, our socket, a graceful end."""

import asyncio
import contextlib
import functools
import logging
import resource
import socket
from collections.abc import Callable, Generator
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from flower_api.connection import KEEP_ALIVE_SECONDS, Bounds, Connection
from flower_engine.errors import SettingsError

_log = logging.getLogger(__name__)

_FILES_OF_OUR_OWN = 250  # connections to the stores, logs, and those that are told there is no room
_LOOK_TICKS = 10  # uvicorn's, of a tenth of a second


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one.

    Raises:
        SettingsError: it cannot be bound.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as stack:
            bound = stack.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            stack.pop_all()
    except OSError as error:
        raise SettingsError(
            f"the API cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or choose another"
            " address with FLOWER_HOST and FLOWER_PORT (0: any free port)"
        ) from error
    return bound


def room_for(connections: int) -> int:
    """How many of so many connections the process may have open, after asking for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _FILES_OF_OUR_OWN
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < wanted:
        connections = max(1, soft - _FILES_OF_OUR_OWN)
        _log.warning(
            "this process may open %d files: no more than %d connections are taken", soft, connections
        )
    return connections


def url_of(bound: socket.socket) -> str:
    """The URL of the address that the socket is bound to."""
    host, port, *_ = bound.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Serves an app on a bound socket until :meth:`stop`."""

    def __init__(
        self,
        app: FastAPI,
        bound: socket.socket,
        bounds: Bounds,
        grace_seconds: float,
        on_listening: Callable[[str], None] | None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=cast(Any, functools.partial(Connection, bounds)),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # nobody asks who the client is
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(grace_seconds)),
            )
        )
        self._bound = bound
        self._on_listening = on_listening

    async def run_until_stopped(self) -> None:
        """Serves; ends when requests under way are answered, or the grace time is over."""
        await self.serve(sockets=[self._bound])

    def stop(self) -> None:
        """Asks it to end."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        url = url_of(self._bound)
        _log.info("listening on %s", url)
        if self._on_listening is not None:
            self._on_listening(url)

    async def on_tick(self, counter: int) -> bool:
        if counter % _LOOK_TICKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                cast(Connection, connection).look(now)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leaves signals alone: they belong to whoever runs the service."""
        yield
