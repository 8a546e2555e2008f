"""Those who wait for flows: for their end, or for a version that an operation led to.

One loop in each process looks for all of them at once, and only while somebody waits and Postgres moves: so a
thousand that wait cost one small query a look, whoever they wait for.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

from flower_engine.flows.history import find_flow
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.model.tasks.status import Status
from flower_engine.projection.read.standings import Standing, read_moved, read_standings
from flower_engine.projection.read.views import FlowView
from flower_engine.projection.read.wait_views import (
    DependenciesOpen,
    ItemsOpen,
    RuleOpen,
    ScopePaused,
    WaitReason,
)
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop

_log = logging.getLogger(__name__)

LONGEST_SECONDS = 30.0
VERSION_SECONDS = 2.0
"""How long a version is waited for, where nothing is said."""

_TURNS = 3  # flows that are read at one time, of those that were waited for
_LOOK_SECONDS = 0.04
_SHARE = 10  # no more than a tenth of the time goes into looking
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 2.0  # between looks at a flow that is not projected yet


class Wanted(NamedTuple):
    """What is waited for: a flow of at least this version that, unless any will do, is over as well."""

    at_least: int
    is_over: bool


class FlowWaits:
    """Waits for flows as they are projected. ``most``: so many at one time; others are not kept waiting."""

    def __init__(self, stores: PostgresStores, most: int, clock: Clock = SYSTEM_CLOCK) -> None:
        self._stores = stores
        self._most = most
        self._clock = clock
        self._waiting: dict[str, set[_Waiter]] = {}
        self._count = 0
        self._turns = asyncio.Semaphore(_TURNS)
        self._new: set[str] = set()
        self._somebody = asyncio.Event()
        self._positions: dict[int, str | None] = {}
        self._is_closed = False
        backoff = SteadyBackoff(_log, "looking for flows that are waited for: %s", 1.0)
        self._loop = Loop("looks for flows", self.run_once, self._rest_after, backoff, is_watched=False)

    async def run(self) -> None:
        """Looks for as long as somebody waits, until cancelled."""
        await self._loop.run()

    def close(self) -> None:
        """Nobody is kept waiting any more."""
        self._is_closed = True
        self._wake(lambda _flow, _waiter: True)

    async def flow(self, flow_id: str, wanted: Wanted, seconds: float) -> FlowView:
        """The flow as soon as it is what is wanted, after ``seconds`` as it stands then; ``is_behind`` says
        whether it is of an older version.

        Raises:
            UnknownFlowError, NotProjectedError: as ``find_flow``.
        """
        self._stores.partition_of(flow_id)  # what can be no flow is refused before others wait beside it
        until = self._clock.monotonic() + min(seconds, LONGEST_SECONDS)
        pause_seconds, behind = _FIRST_PAUSE_SECONDS, 0
        while True:
            left = until - self._clock.monotonic()
            if left > 0:
                await self._wait(flow_id, wanted, behind, left, pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
            async with self._turns:  # many may be woken at one time; others need connections, too
                flow = await find_flow(self._stores, flow_id)
            flow.is_behind = flow.version < wanted.at_least
            is_there = not flow.is_behind and (not wanted.is_over or is_over(flow))
            if is_there or self._is_full or self._clock.monotonic() >= until:
                return flow
            behind = flow.version

    @property
    def _is_full(self) -> bool:
        return self._is_closed or self._count >= self._most

    async def _wait(
        self, flow_id: str, wanted: Wanted, behind: int, left: float, pause_seconds: float
    ) -> None:
        """Returns when the flow may be what is wanted; after the pause, while it is not projected."""
        if self._is_full:
            return
        waiter = _Waiter(wanted, behind)
        self._waiting.setdefault(flow_id, set()).add(waiter)
        self._count += 1
        self._new.add(flow_id)
        self._somebody.set()
        try:
            until = self._clock.monotonic() + left
            await asyncio.wait([waiter.looked], timeout=left)
            rest = max(0.0, until - self._clock.monotonic())
            if not waiter.woken.done():
                await asyncio.wait(
                    [waiter.woken], timeout=rest if waiter.is_projected else min(rest, pause_seconds)
                )
        finally:
            self._count -= 1
            waiters = self._waiting[flow_id]
            waiters.discard(waiter)
            if not waiters:
                del self._waiting[flow_id]

    async def run_once(self) -> float:
        """Wakes those whose flows moved; returns the seconds that it took.

        Raises:
            psycopg.Error, StoreUnavailableError: Postgres is away; those who wait were woken, to be told.
        """
        await self._somebody.wait()
        began = self._clock.monotonic()
        try:
            await self._look()
        except Exception:
            self._wake(lambda _flow, _waiter: True)
            raise
        if not self._waiting:
            self._somebody.clear()
        return self._clock.monotonic() - began

    async def _look(self) -> None:
        async with self._stores.postgres() as connection:
            positions = await read_moved(connection)
            moved = {one for one, position in positions.items() if position != self._positions.get(one)}
            new, self._new = self._new, set()
            asked = [flow for flow in self._waiting if flow in new or self._partition(flow) in moved]
            found: Mapping[str, Standing] = await read_standings(connection, asked) if asked else {}
        self._positions = positions
        self._wake(lambda flow, waiter: flow in found and waiter.sees(found[flow]))
        for flow in new & self._waiting.keys():
            for waiter in self._waiting[flow]:
                waiter.is_looked_for()

    def _partition(self, flow_id: str) -> int:
        return self._stores.partition_of(flow_id).number

    def _wake(self, is_due: Callable[[str, "_Waiter"], bool]) -> None:
        for flow, waiters in self._waiting.items():
            for waiter in waiters:
                if not waiter.woken.done() and is_due(flow, waiter):
                    waiter.woken.set_result(None)
                    waiter.is_looked_for()

    def _rest_after(self, took_seconds: float) -> float:
        return max(_LOOK_SECONDS, _SHARE * took_seconds)


class _Waiter:
    """One who waits. ``behind``: the version that was looked at already, and was not what is wanted."""

    def __init__(self, wanted: Wanted, behind: int) -> None:
        self._wanted = wanted
        self._behind = behind
        self.is_projected = False
        self.woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.looked: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def is_looked_for(self) -> None:
        """The first look was taken: from now on it is known whether the flow is projected."""
        if not self.looked.done():
            self.looked.set_result(None)

    def sees(self, standing: Standing) -> bool:
        """Notes how the flow stands; whether it is worth a look at all of it."""
        self.is_projected = True
        return (
            standing.version > self._behind
            and standing.version >= self._wanted.at_least
            and (standing.may_be_over or not self._wanted.is_over)
        )


def is_over(flow: FlowView) -> bool:
    """Whether nothing more of it happens by itself: it has ended, or what is left waits for tasks that failed
    for good, and are held until somebody decides."""
    if flow.finished_ts is not None:
        return True
    if not flow.suspended or flow.running or any(task.gives_up_ts is not None for task in flow.tasks):
        return False
    waiting = (task for task in flow.tasks if task.exec_status == Status.WAIT)
    return all(is_for_others(task.wait_reason) for task in waiting)


def is_for_others(reason: WaitReason | None) -> bool:
    """Whether what it waits for are other tasks of its flow: the same as the client's ``is_for_others``."""
    if isinstance(reason, ScopePaused):
        return reason.scope == "map"
    return isinstance(reason, DependenciesOpen | ItemsOpen | RuleOpen)
