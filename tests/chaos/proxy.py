"""A small TCP proxy in front of a server, which drops connections, loses replies, or swallows all that is
said, when told to."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 64 * 1024


class Proxy:
    """Forwards ``127.0.0.1:<port>`` to a Unix socket, or a port, on a thread of its own, while the block
    lasts.

    ``to_lose``: so many replies from now on are not passed on: when one begins, its connection is cut off.
    ``swallows``: nothing is passed on, either way, and every connection stands, new ones, too.
    """

    def __init__(self, path: str | int) -> None:
        self._path = path
        self.to_lose = 0
        self.swallows = False
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._stop = asyncio.Event()
        self._port: Future[int] = Future()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    @property
    def port(self) -> int:
        return self._port.result(60)

    def drop(self) -> None:
        """Cuts every connection off, in the middle of whatever is said (RST)."""
        self._loop.call_soon_threadsafe(self._abort)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self._port.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        self._abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there = await self._open()
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, there}
        self._writers |= ends
        try:
            pumps = [
                asyncio.create_task(self._pump(reader, there)),
                asyncio.create_task(self._pump(there_reader, writer, self._loses)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._writers -= ends
            for end in ends:
                end.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._path, int):
            return await asyncio.open_connection("127.0.0.1", self._path)
        return await asyncio.open_unix_connection(self._path)

    def _loses(self) -> bool:
        is_lost = self.to_lose > 0
        self.to_lose -= is_lost
        return is_lost

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        loses: Callable[[], bool] = lambda: False,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self.swallows:
                    continue
                if loses():
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
