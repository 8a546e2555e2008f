"""Delivering what hooks are to tell: any number of projectors do, and none the same at one time."""

import asyncio
import logging
import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Protocol

import psycopg

from flower_engine.crash_points import crash_point
from flower_engine.hooks.hook import Hook
from flower_engine.hooks.retries import delay_seconds, is_over
from flower_engine.projection.database import Pool
from flower_engine.projection.hooks.deliveries import (
    DeliveryState,
    Outcome,
    Taken,
    give_up_of_gone_hooks,
    record,
    take_due,
)
from flower_engine.projection.hooks.hook_rows import read_hooks
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import until_it_works
from flower_engine.runtime.settings import Settings
from flower_projector.hook_commands import Commands
from flower_projector.hook_functions import Functions

if TYPE_CHECKING:
    from flower_projector.hook_webhooks import Webhooks

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
_BUSY_SECONDS = 0.1  # between two looks whether an attempt has ended: only then Postgres is asked sooner
_NOBODY_SECONDS = 2.0  # where there is no hook
_CLEAN_SECONDS = 60.0
_AT_ONCE = 4  # attempts of one hook; no bound over all, so that no hook waits for another one's receiver
_AT_ONCE_FAILING = 1
_LEAVE_SECONDS = 2.0


class _Teller(Protocol):
    async def tell(self, hook: Hook, taken: Taken) -> Outcome: ...


class DeliveryLoop:
    """Takes what is due, and sees each attempt through beside the others."""

    def __init__(self, pool: Pool, settings: Settings, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._pool = pool
        self._clock = clock
        # From then on an attempt counts as lost: it was over long before, or its sender was killed.
        self._lease_seconds = 2 * settings.hook_timeout_seconds + 1
        self._settings = settings
        self._webhooks: Webhooks | None = None
        self._tellers: dict[str, _Teller] = {
            "command": Commands(settings.hook_commands, settings.hook_timeout_seconds),
            "python": Functions(settings.hook_timeout_seconds),
        }
        self._under_way = Counter[str]()
        self._failing: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_ended = False  # an attempt, since it was last looked for what is due
        self._look_at = self._clean_at = clock.monotonic()

    async def run_once(self) -> float:
        """Begins the attempts that are due; returns the seconds to rest.

        Raises:
            psycopg.Error, OSError: Postgres is away.
        """
        now = self._clock.monotonic()
        if self._tasks and not self._has_ended and now < self._look_at:
            return _BUSY_SECONDS
        self._has_ended, self._look_at = False, now + _INTERVAL_SECONDS
        async with self._pool.connection() as connection:
            if now >= self._clean_at:
                self._clean_at = now + _CLEAN_SECONDS
                gone = await give_up_of_gone_hooks(connection)
                if gone:
                    _log.warning("%d notifications are given up: their hooks are gone", gone)
            rows = await read_hooks(connection)
            hooks = {row.hook.name: row.hook for row in rows if not row.problems and not row.hook.is_paused}
            free = {name: count for name in hooks if (count := self._free(name)) > 0}
            taken = await take_due(connection, free, self._lease_seconds) if free else []
        for one in taken:
            self._begin(hooks[one.hook], one)
        if self._tasks:
            return _BUSY_SECONDS
        return _INTERVAL_SECONDS if rows else _NOBODY_SECONDS

    async def close(self) -> None:
        """Leaves what is under way a moment; what is not over then counts as lost after its time, and is
        delivered again."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LEAVE_SECONDS)
        await cancel_all(list(self._tasks))
        if self._webhooks is not None:
            await self._webhooks.close()

    def _free(self, hook: str) -> int:
        return (_AT_ONCE_FAILING if hook in self._failing else _AT_ONCE) - self._under_way[hook]

    def _begin(self, hook: Hook, taken: Taken) -> None:
        self._under_way[hook.name] += 1
        task = asyncio.create_task(self._deliver(hook, taken))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._has_ended = True
            self._under_way[hook.name] -= 1
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("delivery %s of hook %.100r: %s", taken.id, hook.name, error, exc_info=error)

        task.add_done_callback(ended)

    async def _deliver(self, hook: Hook, taken: Taken) -> None:
        try:
            outcome = await self._teller(hook.kind).tell(hook, taken)
        except Exception as error:  # noqa: BLE001 # a fault of ours, which is to hold up nothing
            _log.exception("delivery %s of hook %.100r failed within Flower", taken.id, hook.name)
            outcome = Outcome(error=f"{type(error).__name__}: {error}")
        crash_point("hook.told")
        state, delay = self._judge(hook, taken, outcome)

        async def write() -> None:
            async with self._pool.connection() as connection:
                await record(connection, taken, state, outcome, delay)

        try:
            await until_it_works(write, StoreBackoff(_log, "Postgres (ledger of hooks)", clock=self._clock))
        except psycopg.DataError as error:  # the outcome counts, whatever its words are
            _log.warning("what delivery %s met cannot be kept: %s", taken.id, error)
            outcome = Outcome(error=outcome.error and "what it said cannot be kept", status=outcome.status)
            await until_it_works(write, StoreBackoff(_log, "Postgres (ledger of hooks)", clock=self._clock))

    def _teller(self, kind: str) -> _Teller:
        if kind != "webhook":
            return self._tellers[kind]
        if self._webhooks is None:
            from flower_projector.hook_webhooks import Webhooks  # noqa: PLC0415 # and a client of HTTP

            self._webhooks = Webhooks(self._settings, os.environ, self._clock)
        return self._webhooks

    def _judge(self, hook: Hook, taken: Taken, outcome: Outcome) -> tuple[DeliveryState, float]:
        if not outcome.error:
            self._failing.discard(hook.name)
            return "delivered", 0.0
        if hook.name not in self._failing:
            _log.warning("hook %.100r: delivery %s failed: %s", hook.name, taken.id, outcome.error)
        self._failing.add(hook.name)
        delay = delay_seconds(taken.attempt, random.random(), outcome.retry_after)
        if outcome.is_final or is_over(taken.since_seconds, delay):
            _log.error(
                "hook %.100r: delivery %s is given up after %d attempts: %s; 'flower hooks redeliver' tries"
                " again",
                *(hook.name, taken.id, taken.attempt, outcome.error),
            )
            return "given_up", 0.0
        return "waiting", delay
