"""A set that sentinels watch, whose primary everybody reaches through a proxy: so it can be cut off from its
replica and the sentinels, while services that are connected stay so."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from chaos.proxy import Proxy
from cluster.servers import SentinelServers, Server, wait_for

_SERVERS_SAY = (b"sentinel-", b"REPLCONF", b"PSYNC")
_CHUNK_BYTES = 64 * 1024


class _Cut(Proxy):
    """Tells connections of servers from those of services by what they say."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._is_cut = False
        self._of_servers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Ends connections of servers, and lets nobody in."""
        self._loop.call_soon_threadsafe(self._end)

    def join(self) -> None:
        """Lets all in again."""
        self._is_cut = False

    def _end(self) -> None:
        self._is_cut = True
        for writer in self._of_servers:
            writer.transport.abort()
        self._of_servers.clear()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        await super()._forward(reader, writer)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        loses: Callable[[], bool] = lambda: False,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if any(word in data[:1024] for word in _SERVERS_SAY):
                    self._of_servers.add(writer)
                writer.write(data)
                await writer.drain()


class ProxiedSet(SentinelServers):
    """The first server is known to all by the port of its proxy."""

    def start(self, *, replicas: int = 1, sentinels: int = 3, **options: Any) -> None:
        self._stack = ExitStack()
        super().start(replicas=replicas, sentinels=sentinels, **options)

    def add(self, name: str, options: dict[str, str | int], *, sentinel: str = "") -> Server:
        if name != "data-0":
            return super().add(name, options, sentinel=sentinel)
        server = super().add(name, options)
        self._proxy = self._stack.enter_context(_Cut(server.port))
        server.told_port = self._proxy.port
        server.send("CONFIG", "SET", "replica-announce-port", self._proxy.port)
        return server

    def close(self) -> None:
        super().close()
        self._stack.close()

    def cut(self) -> None:
        """The first server is cut off from the others."""
        self._proxy.cut()

    def join(self) -> None:
        """The network is whole again."""
        self._proxy.join()

    def wait_until_whole(self) -> None:
        """Until the old primary follows the new one."""
        wait_for("the set to be whole", self.is_whole)
