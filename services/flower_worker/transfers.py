"""Calls to stores of blobs, for attempts: on threads of their own, and again until they work.

Nobody else waits meanwhile: no thread is held while a store is away, and the attempt's timer stands still.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from typing import TypeVar

from flower_engine.blobs.blob_stores import BlobStores
from flower_engine.blobs.patience import StorePatience
from flower_engine.errors import BlobStoreError
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_worker.running_attempts import Attempt
from flower_worker.threads import Threads

_log = logging.getLogger(__name__)

T = TypeVar("T")
MOST_AT_ONCE = 8  # transfers; others wait for a thread


class Transfers:
    """Runs what blocks; to be made where the event loop runs."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._threads = Threads(MOST_AT_ONCE)

    async def run(self, attempt: Attempt, what: str, call: Callable[[], T]) -> T:
        """What the call returns, as soon as the store can be used; ``what`` says it in words.

        Cancelled, it leaves the call to end by itself, and nothing is lost: blobs are stored as wholes.
        """
        attempt.say_transfer(what)
        try:
            return await self._until_it_works(
                f"{attempt}: {what}", call, lambda error: attempt.say_transfer(f"{what}: {error}")
            )
        finally:
            attempt.say_transfer("")

    async def begin(self, stores: BlobStores) -> None:
        """Makes sure that the store of blobs that is written to is there, as soon as that can be known."""
        await self._until_it_works(f"the store of blobs {stores.writing}", stores.begin, lambda _: None)

    async def _until_it_works(
        self, what: str, call: Callable[[], T], tell: Callable[[BlobStoreError], None]
    ) -> T:
        patience = StorePatience(_log)
        while True:
            try:
                result = await self.on_thread(call)
            except BlobStoreError as error:
                tell(error)
                await self._clock.rest(patience.failed(what, error))
            else:
                patience.worked(what)
                return result

    async def on_thread(self, call: Callable[[], T]) -> T:
        """What the call returns or raises."""
        future: asyncio.Future[T] = self._loop.create_future()
        context = contextvars.copy_context()

        def job() -> None:
            try:
                result = context.run(call)
            except BaseException as error:  # noqa: BLE001 # whoever waits is told
                self._tell(future, None, error)
            else:
                self._tell(future, result, None)

        self._threads.submit(job)
        return await future

    def _tell(self, future: "asyncio.Future[T]", result: T | None, error: BaseException | None) -> None:
        def settle() -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # pyright: ignore[reportArgumentType]

        try:
            self._loop.call_soon_threadsafe(settle)
        except RuntimeError:
            _log.debug("a transfer ended after the event loop had")
