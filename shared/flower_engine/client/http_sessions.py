"""Connections to the API that drive calls (see ``api_calls.py``): blocking, or with asyncio.

A connection belongs to the process, and with asyncio to the event loop, that opened it: in a fork, or in
another loop, a new one is made and the old one is left to its owner.
"""

import asyncio
import os
import time
from typing import Any, TypeVar

import httpx

from flower_engine.client.api_calls import Answer, Pause, Request, Steps, Unreached
from flower_engine.client.client_errors import ClientError
from flower_engine.client.http_settings import as_httpx, why_unreached

T = TypeVar("T")


class BlockingSession:
    """Drives calls on this thread; any number of threads may share it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._client: httpx.Client | None = httpx.Client(**settings)
        self._process = os.getpid()
        self._left: list[httpx.Client] = []

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

    def close(self) -> None:
        """Ends its connections; no call works any more."""
        client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            client.close()

    def _answer(self, request: Request) -> Answer | Unreached:
        client = self._own()
        try:
            reply = client.send(as_httpx(client, request))
        except httpx.HTTPError as error:
            return Unreached(why_unreached(str(client.base_url), error))
        return Answer(reply.status_code, reply.headers, reply.content)

    def _own(self) -> httpx.Client:
        if self._client is None:
            raise _closed()
        if self._process != os.getpid():
            self._left.append(self._client)  # to close it would end what the parent says
            self._client, self._process = httpx.Client(**self._settings), os.getpid()
        return self._client


class AsyncSession:
    """Drives calls on the running event loop."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

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

    async def close(self) -> None:
        """Ends its connections; no call works any more."""
        client, self._client, self._is_closed = self._client, None, True
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    async def _answer(self, request: Request) -> Answer | Unreached:
        client = self._own()
        try:
            reply = await client.send(as_httpx(client, request))
        except httpx.HTTPError as error:
            return Unreached(why_unreached(str(client.base_url), error))
        return Answer(reply.status_code, reply.headers, reply.content)

    def _own(self) -> httpx.AsyncClient:
        if self._is_closed:
            raise _closed()
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:  # a fork has another loop, too
            self._client, self._loop = httpx.AsyncClient(**self._settings), loop
        return self._client


def _closed() -> ClientError:
    return ClientError("this client is closed")
