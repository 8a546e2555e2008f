"""What a worker does for one partition: its exchange loop, its bells, and the publishing of its programs."""

import asyncio
from collections.abc import Sequence

from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.work_done import watched
from flower_worker.asking import Asking
from flower_worker.bell import BellLoop
from flower_worker.exchange import ExchangeLoop
from flower_worker.heartbeat import Beat


class PartitionWork:
    """On a cluster each has heartbeats of its own (``beat``); else one of all partitions beats for all."""

    def __init__(self, exchange: ExchangeLoop, bells: Sequence[BellLoop], asking: Asking) -> None:
        self.exchange = exchange
        self.bells = bells
        self.asking = asking
        self.beat: Beat | None = None
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ringing: list[asyncio.Task[None]] = []
        self._no_bells = asyncio.Event()
        self._leaving = asyncio.Event()
        self._has_left = asyncio.Event()

    def fail(self, error: Exception) -> None:
        """No waiting heals its heartbeats."""
        if not self._failure.done():
            self._failure.set_exception(error)

    async def run(self, *others: asyncio.Task[None]) -> None:
        """Exchanges until cancelled or told to leave off, and waits for bells until it claims no more;
        ``others`` end with it.

        Raises:
            LostError: Redis lost its state.
        """
        tasks = [asyncio.create_task(self.exchange.run()), *others]
        self._ringing = [asyncio.create_task(bell.run()) for bell in self.bells]
        ending = asyncio.create_task(self._no_bells.wait())
        leaving = asyncio.create_task(self._leaving.wait())
        beats = [] if self.beat is None else [self.beat]
        try:
            with watched(self.asking, *beats):
                loops = [self._failure, *tasks, *self._ringing]
                await asyncio.wait({ending, leaving, *loops}, return_when=asyncio.FIRST_COMPLETED)
                _raise_ended(loops)
                await cancel_all(self._ringing)
                loops = [self._failure, *tasks]
                await asyncio.wait({leaving, *loops}, return_when=asyncio.FIRST_COMPLETED)
                _raise_ended(loops)
        finally:
            await cancel_all([ending, leaving, *tasks, *self._ringing])
            self._has_left.set()
            if not self._failure.cancel():
                self._failure.exception()

    @property
    def is_left_off(self) -> bool:
        """Whether it was told to leave off."""
        return self._leaving.is_set()

    async def leave_off(self) -> None:
        """Its partition is retired; returns when it has ended."""
        self._leaving.set()
        await self._has_left.wait()

    def stop_claiming(self) -> None:
        """From here on only outcomes are handed in, and nobody waits for a bell."""
        self.exchange.stop_claiming()
        self._no_bells.set()


def _raise_ended(loops: Sequence[asyncio.Future[None]]) -> None:
    for loop in loops:
        if loop.done():
            loop.result()
