"""The transitions of a recovery, in the order in which it takes them: see ``runtime/redis_recovery.py``."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from flower_engine.errors import InstallationError, LostError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.engine_clock import now_ms
from flower_engine.log.entries import LogEntry
from flower_engine.log.keys import Keys
from flower_engine.log.partition import numbers_text
from flower_engine.log.reader import has_entry, read_behind
from flower_engine.transitions.loader import Arg, Script

_fence = Script("recovery/fence")
_wipe = Script("recovery/wipe")
_reopen = Script("recovery/reopen")
_remember = Script("recovery/remember")
_restore = Script("recovery/restore")
_seal = Script("recovery/seal")
_remember_slots = Script("recovery/remember_slots")

_SCAN_KEYS = 1_000
_PAGE_EVENTS = 5_000
_MOST_ARGS = 30_000  # of one call, or one flow where it alone has more
_MOST_REMEMBERED = 1_000


class Returning(msgspec.Struct, frozen=True):
    """A flow to put back. ``events`` are those that its recovery adds; ``due_ms`` when its timeout is over
    (None: it has none); ``fields`` names and values of its hash, as they are after these events."""

    flow: str
    fields: Sequence[Arg]
    events: Sequence[bytes] = ()
    due_ms: int | None = None

    def args(self) -> list[Arg]:
        due: Arg = "" if self.due_ms is None else self.due_ms
        return [self.flow, due, len(self.events), *self.events, len(self.fields), *self.fields]


class Ended(msgspec.Struct, frozen=True):
    """A flow that ended lately: its version then, and when."""

    flow: str
    version: int
    at_ms: int


class Taken(msgspec.Struct, frozen=True):
    """An idempotency key, the flow that was registered under it, and when."""

    key: str
    flow: str
    workflow: str
    at_ms: int


class SlotsKnown(msgspec.Struct, frozen=True):
    """Up to where slots of a schedule have their fates (ms), and the one that waits for a flow; ``events``:
    fates that only the lost log had."""

    uid: str
    cursor: int
    failures: int
    held: int | None = None
    events: Sequence[bytes] = ()

    def args(self) -> list[Arg]:
        held: Arg = "" if self.held is None else self.held
        return [self.uid, self.cursor, self.failures, held, len(self.events), *self.events]


class Rebuilding:
    """One partition while a recovery of this generation rebuilds it."""

    def __init__(self, client: AsyncRedis, number: int, generation: str) -> None:
        self.keys = Keys(number)
        self.number = number
        self.generation = generation
        self._client = client

    async def fence(
        self, installation: str, partitions: int, in_all: int, gone: Collection[int] = ()
    ) -> None:
        """Takes the partition: nothing but this recovery works on it from here on.

        Raises:
            InstallationError: Redis holds another installation.
            LostError: a newer recovery has it, or it is whole already.
        """
        args = _fence.args(
            installation=installation,
            partitions=partitions,
            in_all=in_all,
            gone=numbers_text(gone),
            generation=self.generation,
        )
        reply = await _fence.run(self._client, self.keys.meta, args)
        if reply[0] == b"foreign":
            raise InstallationError(
                f"Redis holds partition {self.number} of installation {reply[1].decode()}, not of"
                f" {installation}: FLOWER_REDIS_URL names another Redis. Set the right URL; a Redis that is"
                " to be used from now on must be empty"
            )
        if reply[0] == b"stale":
            raise self._overtaken(f"generation {reply[1].decode()} is newer")

    async def has_entry(self, position: str) -> bool:
        """Whether the log has the entry at this position."""
        return await has_entry(self._client, self.keys, position)

    async def read_log(self, after: str | None) -> list[LogEntry]:
        """A page of what the log holds behind a position, oldest first; [] at its end."""
        return (await read_behind(self._client, self.keys, after, _PAGE_EVENTS)).entries

    async def wipe(self) -> int:
        """Removes everything but ``meta`` and the log; returns how many keys there were."""
        prefix = self.keys.meta.removesuffix("meta")
        cursor, count = 0, 0
        while True:
            cursor, found = await send(
                self._client, "SCAN", cursor, "MATCH", prefix + "*", "COUNT", _SCAN_KEYS
            )
            names = [key.decode().removeprefix(prefix) for key in found]
            names = [name for name in names if name not in ("meta", "log")]
            if names:
                args = _wipe.args(names, generation=self.generation)
                self._check(await _wipe.run(self._client, self.keys.meta, args))
                count += len(names)
            if cursor == 0:
                return count

    async def reopen(
        self, *, position: str | None, entry: bytes, at_ms: int, limits: Mapping[str, str]
    ) -> None:
        """Begins the log anew, with the archived entry at its position and the generation's first event.

        Engine time goes on from ``at_ms``, when that entry's event happened, or from now, whichever is later.
        """
        pairs = [text for pair in limits.items() for text in pair]
        args = _reopen.args(
            pairs,
            generation=self.generation,
            partition=self.number,
            position=position or "",
            entry=entry,
            at_ms=at_ms,
            limit_count=len(limits),
        )
        self._check(await _reopen.run(self._client, self.keys.meta, args))

    async def remember(self, ended: Sequence[Ended], taken: Sequence[Taken]) -> None:
        """Tells which flows ended lately and which keys are taken, oldest first."""
        for first in range(0, max(len(ended), len(taken)), _MOST_REMEMBERED):
            some = ended[first : first + _MOST_REMEMBERED]
            args = _remember.args(generation=self.generation, ended_count=len(some))
            for flow in some:
                args += (flow.flow, flow.version, flow.at_ms)
            for key in taken[first : first + _MOST_REMEMBERED]:
                args += (key.key, key.flow, key.workflow, key.at_ms)
            self._check(await _remember.run(self._client, self.keys.meta, args))

    async def remember_slots(self, schedules: Sequence[SlotsKnown]) -> None:
        """Tells up to where slots have their fates."""
        for call in _in_calls(schedules):
            args = _remember_slots.args(call, generation=self.generation)
            self._check(await _remember_slots.run(self._client, self.keys.meta, args))

    async def restore(self, flows: Sequence[Returning]) -> None:
        """Puts flows back, in this order."""
        for call in _in_calls(flows):
            args = _restore.args(call, generation=self.generation)
            self._check(await _restore.run(self._client, self.keys.meta, args))

    async def seal(self, order: int) -> None:
        """Work goes on; the next flow that is registered has this order."""
        args = _seal.args(generation=self.generation, order=order)
        self._check(await _seal.run(self._client, self.keys.meta, args))

    async def now_ms(self) -> int:
        """Engine time."""
        return await now_ms(self._client, self.keys)

    def _check(self, reply: list[bytes]) -> None:
        if reply[0] != b"ok":
            raise self._overtaken("another one took over, or Redis was lost again")

    def _overtaken(self, why: str) -> LostError:
        return LostError(
            f"the recovery of partition {self.number} as generation {self.generation} ends before it is"
            f" done: {why}"
        )


def _in_calls(told: Sequence[Returning] | Sequence[SlotsKnown]) -> list[list[Arg]]:
    """The arguments of all of them, cut into calls of a bounded size."""
    calls: list[list[Arg]] = []
    for one in told:
        more = one.args()
        if not calls or len(calls[-1]) + len(more) > _MOST_ARGS:
            calls.append([])
        calls[-1] += more
    return calls
