"""Transactions that the partitions of one projector share: batches that come while others are being written
go together with the next.

A transaction costs much the same however little it writes, so many partitions with few events each would
cost several times what one does. Nobody waits for company: who comes while nobody writes does so at once.
"""

import asyncio
import logging
from enum import Enum, auto

from flower_engine.projection.write.batch_transactions import BatchTransactions, Move

_log = logging.getLogger(__name__)

_AT_ONCE = 2  # so that one projector may keep more than one core of Postgres busy
_ENOUGH_EVENTS = 1_000  # what is worth a second transaction beside the one that is under way
_MOST_EVENTS = 5_000  # of a transaction that is shared


class _Told(Enum):
    WRITTEN = auto()
    ALONE = auto()  # it is to be written alone: nobody has


class _Waiting:
    def __init__(self, move: Move) -> None:
        self.move = move
        self.told: asyncio.Future[_Told | list[_Waiting]] = asyncio.get_running_loop().create_future()
        """What became of it; or that it is its turn, and with whom."""

    def tell(self, what: "_Told | list[_Waiting]") -> None:
        if not self.told.done():
            self.told.set_result(what)


class SharedTransactions:
    """Those of one projector. Whose turn it is writes on its own connection, for all that came by then."""

    def __init__(self, at_once: int = _AT_ONCE, enough_events: int = _ENOUGH_EVENTS) -> None:
        """``at_once``: as many may be under way, where so many events wait for the next."""
        self._enough_events = enough_events
        self._at_once = at_once
        self._under_way = 0
        self._waiting: list[_Waiting] = []

    @property
    def waiting(self) -> int:
        """How many batches wait for their turn."""
        return len(self._waiting)

    async def write(self, own: BatchTransactions, move: Move) -> bool:
        """Writes a batch, alone or with others; False: its position is elsewhere, and it was not written."""
        others: list[_Waiting] = []
        if not self._under_way:
            self._under_way = 1
        else:
            told = await self._turn(_Waiting(move))
            if told is _Told.WRITTEN:
                return True
            if told is _Told.ALONE:
                return await own.write([move])
            others = told
        try:
            if others and await self._together(own, [move, *(one.move for one in others)]):
                for one in others:
                    one.tell(_Told.WRITTEN)
                return True
            for one in others:
                one.tell(_Told.ALONE)
            return await own.write([move])
        finally:
            self._leave(others)

    async def _turn(self, mine: _Waiting) -> "_Told | list[_Waiting]":
        self._waiting.append(mine)
        if self._under_way < self._at_once and _events(self._waiting) >= self._enough_events:
            self._under_way += 1
            self._next()
        try:
            return await mine.told
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            elif not mine.told.cancelled() and isinstance(others := mine.told.result(), list):
                self._leave(others)
            raise

    async def _together(self, own: BatchTransactions, moves: list[Move]) -> bool:
        """False: nothing was written, or nobody knows. Then each is tried alone, and says for itself what is
        wrong with it, or that it was written after all: its position is elsewhere."""
        flows = [flow for _, batch in moves for flow in batch.changes.flows]
        if len(set(flows)) < len(flows):
            return False
        try:
            return await own.write(moves)
        except Exception as error:  # noqa: BLE001 # whichever it concerns meets it again, alone
            _log.debug("batches of %d partitions are written one by one: %s", len(moves), error)
            return False

    def _leave(self, others: list[_Waiting]) -> None:
        """It is the turn of the next ones; nobody is left waiting for what was not written."""
        for one in others:
            one.tell(_Told.ALONE)
        self._next()

    def _next(self) -> None:
        waiting = [one for one in self._waiting if not one.told.done()]  # but who was just cancelled
        if not waiting:
            self._waiting = []
            self._under_way -= 1
            return
        count, events = 1, _events(waiting[:1])
        for one in waiting[1:]:
            events += _events([one])
            if events > _MOST_EVENTS:
                break
            count += 1
        first, *more = waiting[:count]
        self._waiting = waiting[count:]
        first.tell(more)


def _events(waiting: list[_Waiting]) -> int:
    return sum(len(one.move[1].entries) for one in waiting)
