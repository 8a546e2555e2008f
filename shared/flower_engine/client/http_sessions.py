"""Connections to the API that drive calls (see ``api_calls.py``): blocking, or with asyncio.

A connection belongs to the process, and with asyncio to the event loop, that opened it: in a fork, or in
another loop, a new one is made and the old one is left to its owner.
"""

import asyncio
import os
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing, contextmanager
from typing import Any, TypeVar

import httpx

from flower_engine.client.api_calls import Answer, Pause, Request, Steps, Unreached
from flower_engine.client.client_errors import ClientError
from flower_engine.client.http_settings import MOST_WAITING, as_httpx, why_unreached
from flower_engine.client.kept_position import KeptPosition
from flower_engine.client.text_lines import TextLines

T = TypeVar("T")


class _Waiting:
    """The calls of a session that the API keeps waiting: so many that others find a connection."""

    def __init__(self) -> None:
        self._count = 0
        self._lock = threading.Lock()

    @contextmanager
    def place_for(self, request: Request) -> Generator[Request]:
        """The request; without its wait where too many wait already."""
        if not request.waits:
            yield request
            return
        with self._lock:
            has_place = self._count < MOST_WAITING
            self._count += has_place
        try:
            yield request if has_place else request._replace(waits=0.0)
        finally:
            with self._lock:
                self._count -= has_place


class BlockingSession:
    """Drives calls on this thread; any number of threads may share it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._client: httpx.Client | None = httpx.Client(**settings)
        self._process = os.getpid()
        self._left: list[httpx.Client] = []
        self._waiting = _Waiting()
        self._position = KeptPosition()

    def run(self, steps: Steps[T]) -> T:
        """The result of the call."""
        came: Any = None
        try:
            while True:
                step = steps.send(came)
                if isinstance(step, Pause):
                    time.sleep(max(step.seconds, 0))
                    came = None
                else:
                    came = self._answer(step)
        except StopIteration as end:
            return end.value
        finally:
            steps.close()

    def streamed(self, request: Request) -> Generator[str | Answer | Unreached]:
        """The lines of an answer as they come; or why there are none (any more)."""
        client = self._own()
        try:
            reply = client.send(as_httpx(client, request), stream=True)
            with closing(reply):
                if reply.is_error:
                    yield Answer(reply.status_code, reply.headers, reply.read())
                    return
                lines = TextLines()
                for piece in reply.iter_bytes():
                    yield from lines.take(piece)
        except httpx.HTTPError as error:
            yield Unreached(why_unreached(str(client.base_url), error))

    def close(self) -> None:
        """Ends its connections; no call works any more."""
        client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            client.close()

    def _answer(self, request: Request) -> Answer | Unreached:
        client = self._own()
        try:
            with self._waiting.place_for(request) as placed:
                asked = as_httpx(client, placed)
                sent = self._position.ask(asked.headers)
                reply = client.send(asked)
                self._position.take(sent, reply.headers)
        except httpx.HTTPError as error:
            return Unreached(why_unreached(str(client.base_url), error))
        return Answer(reply.status_code, reply.headers, reply.content)

    def _own(self) -> httpx.Client:
        if self._client is None:
            raise _closed()
        if self._process != os.getpid():
            self._left.append(self._client)  # to close it would end what the parent says
            self._client, self._process = httpx.Client(**self._settings), os.getpid()
            self._waiting = _Waiting()
        return self._client


class AsyncSession:
    """Drives calls on the running event loop."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._waiting = _Waiting()
        self._position = KeptPosition()

    async def run(self, steps: Steps[T]) -> T:
        """The result of the call. Cancelled, it ends at once; what it had sent may be done all the same."""
        came: Any = None
        try:
            while True:
                step = steps.send(came)
                if isinstance(step, Pause):
                    await asyncio.sleep(max(step.seconds, 0))
                    came = None
                else:
                    came = await self._answer(step)
        except StopIteration as end:
            return end.value
        finally:
            steps.close()

    async def streamed(self, request: Request) -> AsyncGenerator[str | Answer | Unreached]:
        """The lines of an answer as they come; or why there are none (any more)."""
        client = self._own()
        try:
            reply = await client.send(as_httpx(client, request), stream=True)
            async with aclosing(reply):
                if reply.is_error:
                    yield Answer(reply.status_code, reply.headers, await reply.aread())
                    return
                lines = TextLines()
                async for piece in reply.aiter_bytes():
                    for line in lines.take(piece):
                        yield line
        except httpx.HTTPError as error:
            yield Unreached(why_unreached(str(client.base_url), error))

    async def close(self) -> None:
        """Ends its connections; no call works any more."""
        client, self._client, self._is_closed = self._client, None, True
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    async def _answer(self, request: Request) -> Answer | Unreached:
        client = self._own()
        try:
            with self._waiting.place_for(request) as placed:
                asked = as_httpx(client, placed)
                sent = self._position.ask(asked.headers)
                reply = await client.send(asked)
                self._position.take(sent, reply.headers)
        except httpx.HTTPError as error:
            return Unreached(why_unreached(str(client.base_url), error))
        return Answer(reply.status_code, reply.headers, reply.content)

    def _own(self) -> httpx.AsyncClient:
        if self._is_closed:
            raise _closed()
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:  # a fork has another loop, too
            self._client, self._loop = httpx.AsyncClient(**self._settings), loop
            self._waiting = _Waiting()
        return self._client


def _closed() -> ClientError:
    return ClientError("this client is closed")
