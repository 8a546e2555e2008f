"""Commands that are sent in the same turn of the event loop go to the server together, in one round trip.

For looks at many partitions, of which each costs little and has little to say: a round trip costs more than
that.
"""

import asyncio
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
        self._sending: set[asyncio.Task[None]] = set()
        self.connection = None  # what redis-py asks of a client when it is forgotten
        self.single_connection_client = False

    async def execute_command(self, *args: Any, **_options: Any) -> Any:
        """The reply, as if it was sent alone; so is an error that is its own."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._begin)
        told: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((args, told))
        return await told

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return self._client.pipeline(transaction, shard_hint)

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        for first in range(0, len(waiting), _MOST_AT_ONCE):
            task = asyncio.create_task(self._send(waiting[first : first + _MOST_AT_ONCE]))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

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
