"""How many partitions this projector takes, so that all that live share them.

Which projector is elected for a partition is a matter of locks (``election.py``); what makes projecting
exact is neither that nor this: it is that a position moves from where it is believed to be. This says only
who stands back. Nobody assigns anything: each sees the same members, reckons its own share, gives away what
is beyond that where somebody wants it, and takes what nobody has.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection, Sequence

from flower_engine.projection.database import Connection, connect
from flower_engine.projection.write.projector_members import (
    Member,
    Members,
    forget_members,
    leave_members,
    tell_members,
)
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.process_names import process_name
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import STORE_ERRORS

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_ALONE_SECONDS = 3.0  # who has all partitions, and nobody to share them with, looks more seldom
_FREE_SECONDS = 5.0  # what nobody takes for so long is taken beyond the share
_FAILED_SECONDS = 60.0  # for so long somebody whose store is away asks for nothing more
_LEAVE_SECONDS = 2.0


def share_of(name: str, members: Sequence[Member], partitions: int) -> int:
    """How many of the partitions are for the member of this name. Shares differ by one at most, and add up;
    who has more already gets the larger ones, so that nothing moves without need."""
    order = sorted(members, key=lambda one: (-len(one.partitions), one.name))
    rank = next((place for place, one in enumerate(order) if one.name == name), len(order) - 1)
    return partitions // len(order) + (rank < partitions % len(order))


class PartitionSharesLoop:
    """The part of one projector in it."""

    def __init__(
        self,
        settings: Settings,
        partitions: Collection[int],
        stop: asyncio.Event | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.name = process_name()
        self.share: int | None = None
        """None: it is not known yet; then nothing is taken."""
        self._settings = settings
        self._partitions = frozenset(partitions)
        self._stop = stop or asyncio.Event()
        self._clock = clock
        self._held: set[int] = set()  # elected for, or about to be
        self._giving: set[int] = set()
        self._free_since: dict[int, float] = {}
        self._wants = 0
        self._failed_at: float | None = None
        self._connection: Connection | None = None
        self._members = 0
        self._looked = asyncio.Event()

    async def run(self) -> None:
        """Looks at the others until told to stop; then leaves them what it had."""
        backoff = StoreBackoff(_log, "Postgres", clock=self._clock)
        loop = Loop("shares", self.run_once, _interval_after, backoff, self._stop, clock=self._clock)
        try:
            await loop.run()
        finally:
            await self.leave()

    async def run_once(self) -> bool:
        """Tells the others, and reckons what to take and what to give; whether it is alone, and has all.

        Raises:
            psycopg.Error, OSError: Postgres is away.
        """
        try:
            if self._connection is None:
                assert self._settings.database_url is not None
                self._connection = await connect(self._settings.database_url, "projector shares")
                await forget_members(self._connection)
            self._see(await tell_members(self._connection, self.name, self._held, self._wants))
        except STORE_ERRORS:
            await self._close()
            raise
        return self._members == 1 and len(self._held) == len(self._partitions) and not self._free_since

    @property
    def has_looked(self) -> bool:
        """Whether the others are known."""
        return self._looked.is_set()

    async def first_look(self) -> None:
        """Returns when the others are known."""
        await self._looked.wait()

    def takes(self, number: int) -> bool:
        """Whether to be elected for this partition, if it can be had; then it is held until ``left``."""
        if number in self._held:
            return True
        has_room = self.share is not None and len(self._held) < self.share
        free_since = self._free_since.get(number)
        is_left = free_since is not None and self._clock.monotonic() - free_since >= _FREE_SECONDS
        if has_room or is_left:
            self._held.add(number)
        return has_room or is_left

    def gives(self, number: int) -> bool:
        """Whether to give it to one who has less."""
        return number in self._giving

    def left(self, number: int, *, failed: bool = False) -> None:
        """It is not held any more; ``failed``: as a store that it needs is away from here."""
        self._held.discard(number)
        self._giving.discard(number)
        if failed:
            self._failed_at = self._clock.monotonic()

    def _see(self, members: Members) -> None:
        now = self._clock.monotonic()
        free = self._partitions - members.taken
        self._free_since = {number: self._free_since.get(number, now) for number in free}
        self._looked.set()
        self.share = share_of(self.name, members.live, len(self._partitions))
        if len(members.live) != self._members:
            self._members = len(members.live)
            _log.info("%d projectors share %d partitions", self._members, len(self._partitions))
        wanted = sum(one.wants for one in members.live if one.name != self.name)
        beyond = max(0, min(len(self._held) - self.share, wanted))
        self._giving = set(sorted(self._held)[len(self._held) - beyond :])
        has_failed = self._failed_at is not None and now - self._failed_at < _FAILED_SECONDS
        self._wants = 0 if has_failed else max(0, self.share - len(self._held))

    async def leave(self) -> None:
        """The others share what it had."""
        try:
            if self._connection is not None:
                with contextlib.suppress(*STORE_ERRORS):  # then its time runs out
                    async with asyncio.timeout(_LEAVE_SECONDS):
                        await leave_members(self._connection, self.name)
        finally:  # also where it is cancelled twice
            await self._close()

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _interval_after(has_all: bool) -> float:
    return _ALONE_SECONDS if has_all else _LOOK_SECONDS
