"""Commands that are sent in the same turn of the event loop go to the server together, in one round trip.

For looks at many partitions, of which each costs little and has little to say: a round trip costs more than
that.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.client import Pipeline

from flower_engine.log.client import queue_command, send

_MOST_AT_ONCE = 8  # the server serves nobody else meanwhile

_Call = tuple[tuple[Any, ...], "asyncio.Future[Any]"]


class GatheredRedis(AsyncRedis):
    """A client that sends by another one. Of a cluster's it is for one partition alone."""

    def __init__(self, client: AsyncRedis) -> None:
        self._client = client
        self._waiting: list[_Call] = []
        self._sending: dict[asyncio.Task[None], Sequence[_Call]] = {}
        self.connection = None  # what redis-py asks of a client when it is forgotten
        self.single_connection_client = False

    async def execute_command(self, *args: Any, **_options: Any) -> Any:
        """The reply, as if it was sent alone; so is an error that is its own. Whoever is cancelled has
        nothing under way any more when he goes on: nothing of a loop that has ended comes to a server."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._begin)
        told: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((args, told))
        try:
            return await told
        except asyncio.CancelledError:
            await self._end(told)
            raise

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return self._client.pipeline(transaction, shard_hint)

    def _begin(self) -> None:
        waiting = [call for call in self._waiting if not call[1].done()]  # and not cancelled by now
        self._waiting = []
        for first in range(0, len(waiting), _MOST_AT_ONCE):
            calls = waiting[first : first + _MOST_AT_ONCE]
            task = asyncio.create_task(self._send(calls))
            self._sending[task] = calls
            task.add_done_callback(self._sending.pop)

    async def _end(self, told: "asyncio.Future[Any]") -> None:
        """Waits until what this one asked for is over: the others hear what they asked for together with it,
        and where there is nobody else it is cut short."""
        found = (task for task, calls in self._sending.items() if any(one is told for _, one in calls))
        task = next(found, None)
        while task is not None and not task.done():
            if all(one.done() for _, one in self._sending[task]):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # he knows it
                await asyncio.wait({task})

    async def _send(self, calls: Sequence[_Call]) -> None:
        try:
            if len(calls) == 1:
                replies: list[Any] = [await send(self._client, *calls[0][0])]
            else:
                async with self._client.pipeline(transaction=False) as pipeline:
                    for words, _ in calls:
                        queue_command(pipeline, *words)
                    replies = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # noqa: BLE001 # whatever it is, all who wait must hear it
            replies = [error] * len(calls)
        except asyncio.CancelledError:
            for _, told in calls:
                told.cancel()
            raise
        for (_, told), reply in zip(calls, replies, strict=True):
            if told.done():  # nobody waits for it any more
                continue
            if isinstance(reply, Exception):
                told.set_exception(reply)
            else:
                told.set_result(reply)
