"""The bell loop: while the worker has free slots and knows of no task for them, it waits here.

A partition has one for the programs that need no process, and one for those that do.
"""

import asyncio
import logging

from redis.exceptions import RedisError

from flower_engine.log.client import AsyncRedis
from flower_engine.transitions.worker_transitions import Service, wait_for_bell
from flower_worker.exchange import ExchangeLoop
from flower_worker.slots import Slots

_log = logging.getLogger(__name__)
LONGEST_SECONDS = 2.0  # then claim anyway: a bell only wakes
_SHORTEST_SECONDS = 0.005  # 0 would be for ever
_AFTER_ERROR_SECONDS = 0.2


class BellLoop:
    """Wakes an exchange loop when something may be ready."""

    def __init__(
        self, client: AsyncRedis, exchange: ExchangeLoop, slots: Slots, service: Service, *, heavy: bool
    ) -> None:
        """``heavy`` says that the service's programs need a process."""
        self._client = client
        self._exchange = exchange
        self._slots = slots
        self.service = service  # another one when programs cannot be started for a while
        self.heavy = heavy
        self._idle = asyncio.Event()
        exchange.when_idle.append(self._idle.set)

    async def run(self) -> None:
        """Waits and wakes until cancelled."""
        while True:
            await self._idle.wait()
            self._idle.clear()
            await self.run_once()

    async def run_once(self) -> None:
        """Waits for one bell, or two seconds, if there are slots for what it would announce."""
        use = self._exchange.slot_use
        if use.heavy_due if self.heavy else use.due:
            return  # the exchange loop claims as soon as it may
        if not (self._slots.room(use) if self.heavy else self._slots.free(use)):
            use.deaf = True  # so that it is woken, and we with it, when slots become free
            return
        try:
            seconds = self._seconds()
            await wait_for_bell(self._client, self._exchange.partition, self.service, seconds)
        except (RedisError, OSError) as error:
            _log.debug("waiting for a bell failed: %s", error)  # the exchange loop says what it waits for
            await asyncio.sleep(_AFTER_ERROR_SECONDS)
        if self.heavy:
            use.heavy_due = True
        else:
            use.due = True
        self._exchange.wake()

    def _seconds(self) -> float:
        """How long to wait at most: a rate that lets more start rings no bell."""
        opens_in = self._exchange.opens_in_seconds()
        if opens_in is None:
            return LONGEST_SECONDS
        return min(LONGEST_SECONDS, max(_SHORTEST_SECONDS, opens_in))
