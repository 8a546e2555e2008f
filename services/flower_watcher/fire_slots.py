"""The loop of one partition that gives slots of schedules their fates, on time.

It needs Redis alone. What is due within the next minute is made ready ahead, so that at its time nothing is
left to do but to send it. Of two watchers both do; the one that comes second finds everything decided, and
keeps a little behind from then on.
"""

import asyncio
import logging

import msgspec

from flower_engine.crash_points import crash_point
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.transitions.schedule_transitions import (
    Firing,
    SlotsFired,
    due_schedules,
    fire_slots,
    read_schedules,
)
from flower_watcher.firing_plans import Proposing
from flower_watcher.looks import Looks
from flower_watcher.scheduled_workflows import Failed, Shared

_log = logging.getLogger(__name__)

_LONGEST_SLEEP_SECONDS = 0.3  # a flow may end meanwhile for which a slot waits
_AHEAD_MS = 60_000
_PREPARE_EVERY_SECONDS = 3.0
_MOST_DUE = 2_000  # schedules of a round
_MOST_PREPARED = 1_000  # of a round
_READ_AT_ONCE = 200
_CALL_TASKS = 120  # Redis serves nobody else meanwhile: some 7 ms
_CALL_DECISIONS = 120
_CALLS_AT_ONCE = 2
_HOLDS_MS = 5_000  # so long after its time what was made ready is as good as what would be made now
_BEHIND_MS = 250  # a watcher that came second


class Round(msgspec.Struct, frozen=True):
    """What a round came to: how many schedules were looked at, and the ms until the next one is due (None:
    none is)."""

    fired: list[SlotsFired]
    next_ms: int | None


class FireLoop:
    """Decides slots whose time has come; two watchers decide each once."""

    def __init__(
        self,
        client: AsyncRedis,
        partition: Partition,
        shared: Shared,
        *,
        looks: Looks | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._client = client
        self._looks = looks or Looks(client, clock=clock)
        self._clock = clock
        self._partition = partition
        self._shared = shared
        self._proposing = Proposing(partition.number, shared)
        self._ready: dict[str, tuple[int, Firing]] = {}  # uid -> (due, what is proposed then)
        self._behind_ms = 0
        self._clock_ms = 0  # of Redis, as it was last told
        self._prepared_at = float("-inf")

    async def run(self) -> None:
        """Decides until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        backoff = StoreBackoff(_log, f"Redis (schedules of partition {self._partition.number})")
        name = f"slots of partition {self._partition.number}"
        await Loop(
            name,
            self.run_once,
            self._until_next,
            backoff,
            partition=self._partition.number,
            clock=self._clock,
        ).run()

    def _until_next(self, found: Round) -> float:
        if found.next_ms is None or found.next_ms > _LONGEST_SLEEP_SECONDS * 1000:
            return self._looks.seconds_until(_LONGEST_SLEEP_SECONDS)
        return found.next_ms / 1000

    async def run_once(self) -> Round:
        """Decides what is due, a bounded number of schedules; and makes ready what soon will be."""
        self._clock_ms, due, next_ms = await due_schedules(
            self._looks.client, self._partition, behind_ms=self._behind_ms, most=_MOST_DUE
        )
        fired: list[SlotsFired] = []
        if due:
            fired = await self._fire(due)
            next_ms = 0
        now = self._clock.monotonic()
        if now - self._prepared_at >= _PREPARE_EVERY_SECONDS and (next_ms is None or next_ms > 100):
            self._prepared_at = now
            await self._prepare()
        return Round(fired, next_ms)

    async def _fire(self, due: list[tuple[str, int]]) -> list[SlotsFired]:
        firings: list[Firing] = []
        missing: list[tuple[str, int]] = []
        for uid, due_ms in due:
            ready = self._ready.pop(uid, None)
            if ready is not None and ready[0] == due_ms and self._clock_ms - due_ms <= _HOLDS_MS:
                firings.append(ready[1])
            else:
                missing.append((uid, self._clock_ms))
        if firings:  # first what costs nothing more
            fired = await self._send(firings)
            return fired + (await self._send(await self._propose(missing)) if missing else [])
        return await self._send(await self._propose(missing))

    async def _prepare(self) -> None:
        """Makes ready what is due within the next minute, and is not yet."""
        _, soon, _ = await due_schedules(
            self._client, self._partition, behind_ms=-_AHEAD_MS, most=_MOST_DUE * 10
        )
        still = {uid: due for uid, due in soon if due > self._clock_ms}
        self._ready = {uid: ready for uid, ready in self._ready.items() if still.get(uid) == ready[0]}
        wanted = [(uid, due) for uid, due in still.items() if uid not in self._ready][:_MOST_PREPARED]
        at = dict(wanted)
        for firing in await self._propose(wanted):
            self._ready[firing.uid] = (at[firing.uid], firing)
        if len(wanted) == _MOST_PREPARED:
            self._prepared_at = float("-inf")  # there may be more

    async def _propose(self, wanted: list[tuple[str, int]]) -> list[Firing]:
        """Proposals for schedules, each for a moment; those that are gone have none."""
        found: list[Firing] = []
        for first in range(0, len(wanted), _READ_AT_ONCE):
            some = wanted[first : first + _READ_AT_ONCE]
            uids = [uid for uid, _ in some]
            known = await read_schedules(self._client, self._partition, uids, with_spec=False)
            unread = [
                one.uid
                for one in known
                if one is not None and not self._proposing.knows(one.uid, one.version)
            ]
            for one in await read_schedules(self._client, self._partition, unread) if unread else ():
                if one is not None:
                    self._proposing.learn(one)
            self._proposing.forget(uid for uid, one in zip(uids, known, strict=True) if one is None)
            for number, (one, (_, at_ms)) in enumerate(zip(known, some, strict=True)):
                if number % 20 == 0:
                    await asyncio.sleep(0)  # the other loops of this watcher go on
                if one is not None and self._proposing.knows(one.uid, one.version):
                    found.append(self._proposing.propose(one, at_ms))
        return found

    async def _send(self, firings: list[Firing]) -> list[SlotsFired]:
        calls = _in_calls(firings)
        fired: list[SlotsFired] = []
        for first in range(0, len(calls), _CALLS_AT_ONCE):
            crash_point("slots.before")
            some = calls[first : first + _CALLS_AT_ONCE]
            for call in await asyncio.gather(
                *(fire_slots(self._client, self._partition, one) for one in some)
            ):
                fired += call
            crash_point("slots.fired")
        self._hear(firings, fired)
        return fired

    def _hear(self, firings: list[Firing], fired: list[SlotsFired]) -> None:
        words = [one.word for one in fired]
        if words:
            self._behind_ms = _BEHIND_MS if 2 * words.count("stale") > len(words) else 0
        self._proposing.forget(one.uid for one in fired if one.word == "gone")
        for firing, one in zip(firings, fired, strict=True):
            if one.word == "held" and firing.overlap == "strict":
                self._shared.waits[one.uid] = one.detail
            else:
                self._shared.waits.pop(one.uid, None)
            if one.word == "failed":
                most = firing.pause_after_failures
                reason = f"its flows failed {most} times in a row"
                self._shared.failed[one.uid] = Failed(firing.version, reason)


def _in_calls(firings: list[Firing]) -> list[list[Firing]]:
    """Cut so that no call registers more than some 120 tasks; a flow that has more is alone."""
    calls: list[list[Firing]] = []
    tasks = decided = 0
    for one in firings:
        tasks, decided = tasks + one.tasks, decided + len(one.decisions) + 1
        if not calls or tasks > _CALL_TASKS or decided > _CALL_DECISIONS:
            calls.append([])
            tasks, decided = one.tasks, len(one.decisions) + 1
        calls[-1].append(one)
    return calls
