"""The finish-and-claim loop of one partition: hands in the outcomes there are, takes what slots are free.

One call is in flight at a time; outcomes that come meanwhile go with the next. A call whose connection
failed is sent again, the same in every byte, until it is answered, so each outcome counts once.
"""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from redis.exceptions import RedisError

from flower_engine.crash_points import crash_point
from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.values.key_parts import escape
from flower_engine.programs.signature import Signature
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.deciding import Decider
from flower_engine.runtime.loop import until_it_works
from flower_engine.transitions.loader import Arg
from flower_engine.transitions.worker_transitions import (
    Claim,
    Exchange,
    Outcome,
    Reported,
    Standing,
    finish_and_claim,
    queue_name,
    read_inputs,
)
from flower_worker.execution import Executor
from flower_worker.other_versions import Fit, OtherVersions, OwnVersion
from flower_worker.queues import Queues
from flower_worker.running_attempts import Attempt, Told
from flower_worker.slots import Ask, AskKind, Slots, SlotUse

_log = logging.getLogger(__name__)

_MOST_OUTCOMES = 250  # a call should not keep Redis from others for long
_MOST_CLAIMS = 250
_MOST_REPORTS = 500  # of progress in one heartbeat; the others go with the next
_MOST_BYTES = 4 << 20  # of results in one call
_NOTHING = Ask(0, AskKind.ALL)
_STOPPED = "it is stopped"
_ON_A_THREAD = (
    "it runs on a thread, cannot be stopped, and keeps a slot until it ends; its outcome will be refused"
)


class _Call(msgspec.Struct, frozen=True):
    """One call, as it is sent and sent again."""

    number: int
    batch: list[Attempt]
    outcomes: list[Outcome]
    ask: Ask
    reserved: int
    heavy_reserved: int


class ExchangeLoop:
    """One partition's part of the worker: its leases, their outcomes, and the calls that exchange them."""

    def __init__(
        self,
        client: AsyncRedis,
        partition: Partition,
        worker: str,
        *,
        queues: Queues,
        programs: Mapping[AskKind, Sequence[Arg]],
        slots: Slots,
        executor: Executor,
        most_kept: int,
        own_version: OwnVersion,
        clock: Clock = SYSTEM_CLOCK,
        refused: Counter[str] | None = None,
        decider: Decider | None = None,
    ) -> None:
        """``refused`` counts the outcomes that were refused, by Redis' word for why. ``decider`` makes
        decisions that a call tells of; None: that is left to others."""
        self._decider = decider
        self.deciding: asyncio.Task[None] | None = None
        self._refused: Counter[str] = Counter() if refused is None else refused
        self.partition = partition
        self.own_version = own_version
        self._other_versions = OtherVersions(client, partition, clock=clock)
        self.slot_use = SlotUse(self.wake)
        self.when_idle: list[Callable[[], None]] = []  # the bell loops listen then
        self.answered = 0  # the last call that was answered; a thread may read it
        self.answered_at = clock.monotonic()
        self.calling_since: float | None = None  # no call is under way
        self.quiet = asyncio.Event()  # no lease is held, and no call is under way that may bring one
        self.quiet.set()
        self.handed_in = asyncio.Event()  # every outcome so far is answered
        self.handed_in.set()
        self._client = client
        self._worker = worker
        self._queues = queues
        self._programs = programs
        self._slots = slots
        self._executor = executor
        self._most_kept = most_kept
        self._held: dict[bytes, dict[bytes, Attempt]] = {escape(queue).encode(): {} for queue in queues.names}
        self._done: list[Attempt] = []
        self._stuck: dict[Attempt, None] = {}  # told to stop, and not at its end yet
        self._standing: dict[Attempt, None] = {}  # whose timers stand still, or did since the last heartbeat
        self.when_standing: list[Callable[[], None]] = []  # the heartbeat loop listens
        self._claiming = True
        self._calling = False
        self._number = 0
        self._woken = asyncio.Event()
        self._backoff = StoreBackoff(_log, f"Redis (partition {partition.number})", clock=clock)
        self._reading = StoreBackoff(_log, f"Redis (inputs of partition {partition.number})", clock=clock)
        self._clock = clock
        self._opens_at: float | None = None  # when a rate lets more start
        self._is_abandoned = False
        slots.add(self.slot_use)

    async def run(self) -> None:
        """Exchanges until cancelled.

        Raises:
            LostError: Redis lost its state.
        """
        while True:
            self._woken.clear()
            if not await self.run_once():
                for tell in self.when_idle:
                    tell()
                await self._woken.wait()

    async def run_once(self) -> bool:
        """One call, if there is anything to hand in or to ask for; whether there was."""
        call = self._compose()
        if call is None:
            return False
        self._accept(call, await self._send(call))
        return True

    def wake(self) -> None:
        """Something may have changed: look whether there is a reason for a call."""
        self._woken.set()

    def opens_in_seconds(self) -> float | None:
        """When a rate lets more start, which rings no bell; None: no rate stands in the way."""
        return None if self._opens_at is None else self._opens_at - self._clock.monotonic()

    @property
    def claims(self) -> bool:
        """Whether it still takes tasks."""
        return self._claiming

    def stop_claiming(self) -> None:
        """From here on only outcomes are handed in."""
        self._claiming = False

    def finish(self, attempt: Attempt, outcome: Outcome | None) -> None:
        """Takes an attempt's outcome, to be handed in at once; None drops the attempt."""
        if self._is_abandoned:
            outcome = None
        attempt.outcome = outcome
        if attempt.log is not None:
            attempt.log.close()  # its last lines are before its outcome
        self._stuck.pop(attempt, None)
        if outcome is not None:
            self._done.append(attempt)
            self.handed_in.clear()
        else:
            self.slot_use.used -= 1
            self.slot_use.heavy_used -= attempt.heavy
            self._slots.wake_rivals(self.slot_use)
            self._leave_slots()
        self._woken.set()

    def abandon(self) -> None:
        """Its partition was lost, and nothing is exchanged any more: attempts that run are stopped, and those
        that cannot be keep their slots until they end. To be called when :meth:`run` has ended."""
        running = self.running()
        self._is_abandoned = True
        self._claiming = self._calling = False
        self.calling_since = None
        self._done.clear()
        self._standing.clear()
        for held in self._held.values():
            held.clear()
        use = self.slot_use
        use.due = use.heavy_due = use.deaf = False
        still = {*running, *self._stuck}
        use.used, use.heavy_used = len(still), sum(attempt.heavy for attempt in still)
        for attempt in running:
            self._stuck[attempt] = None
            stopped = self._executor.stop(attempt, Told.GONE)
            _log.warning("%s: its partition was lost: %s", attempt, _STOPPED if stopped else _ON_A_THREAD)
        self.handed_in.set()
        self.quiet.set()
        self._leave_slots()
        self._slots.wake_rivals(use)

    def _leave_slots(self) -> None:
        if self._is_abandoned and not self._stuck:
            self._slots.remove(self.slot_use)

    def leases(self) -> dict[bytes, list[bytes]]:
        """The leases held, by queue, as the heartbeat wants them; may be called from another thread."""
        return {queue: list(held) for queue, held in self._held.items() if held}

    def take_untold(self) -> list[tuple[Attempt, Reported]]:
        """Progress that is not logged yet, of a bounded number of attempts; for the heartbeat's thread."""
        untold = (
            attempt
            for held in list(self._held.values())
            for attempt in list(held.values())
            if attempt.untold and attempt.outcome is None
        )
        taken = itertools.islice(untold, _MOST_REPORTS)
        return [(attempt, Reported(attempt.claim, attempt.take_untold())) for attempt in taken]

    def stands(self, attempt: Attempt) -> None:
        """What an attempt brings from or to a store of blobs has changed; from any thread."""
        is_new = attempt not in self._standing
        self._standing[attempt] = None
        if is_new:
            for tell in self.when_standing:
                tell()

    def take_standing(self) -> list[tuple[Attempt, Standing]]:
        """By how much timers are to stand still, of some attempts; for the heartbeat's thread."""
        taken: list[tuple[Attempt, Standing]] = []
        for attempt in list(self._standing)[:_MOST_REPORTS]:
            transfer = attempt.transfer
            held = self._held[attempt.claim.queue].get(attempt.claim.lease) is attempt
            if transfer is None or not held or transfer.is_over:
                self._standing.pop(attempt, None)
            elif (ms := transfer.take_ms()) > 0:
                taken.append((attempt, Standing(attempt.claim, ms)))
        return taken

    def transfers(self) -> list[str]:
        """What attempts bring from or to stores of blobs now; may be called from another thread."""
        return [
            f"{attempt} {attempt.transfer.what}"
            for attempt in list(self._standing)
            if attempt.transfer is not None and attempt.transfer.what
        ]

    async def read_kept(self, claim: Claim, tasks: Sequence[int]) -> dict[int, bytes] | None:
        """The results of these tasks, as ``read_inputs`` gives them; it waits for a Redis that is away. None:
        the attempt's outcome would be refused."""
        while True:
            try:
                found = await read_inputs(self._client, self.partition, claim, tasks)
            except LostError:
                return None  # the next call says it
            except (RedisError, OSError) as error:
                await self._clock.rest(self._reading.failed(error))
            else:
                self._reading.worked()
                return found

    async def fit(self, claim: Claim, program: str, own: Signature, parameters: Mapping[str, Any]) -> Fit:
        """Which live versions of a program may take a claim's task, of which this worker's refuses the
        parameters; it waits for a Redis that is away."""
        look = partial(
            self._other_versions.fit, self.own_version.digest, own, program, queue_name(claim), parameters
        )
        return await until_it_works(look, self._reading, clock=self._clock)

    def note_gone(self, gone: Sequence[tuple[bytes, bytes]]) -> None:
        """Shows attempts as stuck until :meth:`lose` has stopped them, which takes an event loop that runs;
        for the heartbeat's thread."""
        for queue, lease in gone:
            attempt = self._held[queue].get(lease)
            if attempt is not None and attempt.outcome is None:
                self._stuck[attempt] = None

    def stuck(self) -> list[str]:
        """Attempts that hold a slot though their leases are gone; may be called from another thread."""
        return [str(attempt) for attempt in list(self._stuck)]

    def flows(self) -> set[str]:
        """The flows of all attempts whose outcome Redis has not answered."""
        return {attempt.claim.flow for attempt in self.held()}

    def running(self) -> list[Attempt]:
        """The attempts without an outcome."""
        return [attempt for held in self._held.values() for attempt in held.values() if not attempt.outcome]

    def held(self) -> list[Attempt]:
        """The attempts whose outcome Redis has not answered."""
        return [attempt for held in self._held.values() for attempt in held.values()]

    def busy(self) -> list[Attempt]:
        """Those of them that hold a lease; the others are stuck, or about to be."""
        return [attempt for attempt in self.held() if attempt not in self._stuck]

    def unanswered(self) -> int:
        """How many attempts ended whose outcome Redis has not answered yet."""
        return sum(1 for held in self._held.values() for attempt in held.values() if attempt.outcome)

    def lose(self, gone: Sequence[tuple[bytes, bytes]]) -> None:
        """Stops the attempts whose leases (queue, lease) are gone, unless their outcome was under way."""
        for queue, lease in gone:
            attempt = self._held[queue].get(lease)
            if attempt is None:
                continue
            if attempt.outcome is not None:
                self._stuck.pop(attempt, None)
                continue
            self._forget(attempt)
            self._stuck[attempt] = None
            stopped = self._executor.stop(attempt, Told.GONE)
            _log.warning(
                "%s has no lease any more (it lapsed, took too long, or its flow was cancelled): %s",
                attempt,
                _STOPPED if stopped else _ON_A_THREAD,
            )
        self._note_quiet()

    def _compose(self) -> _Call | None:
        use, slots = self.slot_use, self._slots
        batch = self._next_batch()
        heavy = 0
        if batch:
            if slots.processes:
                heavy = sum(attempt.heavy for attempt in batch)
                use.heavy_due = use.heavy_due or heavy > 0
            use.due = True  # what was finished may have made others ready
            use.used -= len(batch)
            use.heavy_used -= heavy
        ask = (slots.ask(use) if self._claiming else None) or _NOTHING
        if not batch and ask is _NOTHING:
            return None
        if ask.wanted > _MOST_CLAIMS:
            ask = Ask(_MOST_CLAIMS, ask.kind)
        wanted_heavy = ask.wanted if slots.processes and ask.kind is not AskKind.LIGHT else 0
        # Until the call is answered nobody else may have the slots of what it hands in or asks for.
        reserved, heavy_reserved = max(ask.wanted, len(batch)), max(wanted_heavy, heavy)
        use.used += reserved
        use.heavy_used += heavy_reserved
        self._number += 1
        self._calling = True
        self.calling_since = self._clock.monotonic()
        self.quiet.clear()
        outcomes = [attempt.outcome for attempt in batch if attempt.outcome is not None]
        return _Call(self._number, batch, outcomes, ask, reserved, heavy_reserved)

    def _next_batch(self) -> list[Attempt]:
        done = self._done
        if not done:
            return []
        count, size = 0, 0
        for attempt in done[:_MOST_OUTCOMES]:
            assert attempt.outcome is not None
            size += len(attempt.outcome.payload)
            if count and size > _MOST_BYTES:
                break
            count += 1
        self._done = done[count:]
        return done[:count]

    async def _send(self, call: _Call) -> Exchange:
        service = [*self._queues.args(), *self._programs[call.ask.kind]]  # the same, however often it is sent
        version = self.own_version.digest
        while True:
            crash_point("exchange.before")
            try:
                reply = await finish_and_claim(
                    self._client,
                    self.partition,
                    self._worker,
                    call.number,
                    answered=self.answered,
                    outcomes=call.outcomes,
                    wanted=call.ask.wanted,
                    service_args=service,
                    most_kept=self._most_kept,
                    version=version,
                )
            except (RedisError, OSError) as error:
                await self._clock.rest(self._backoff.failed(error))
            else:
                self._backoff.worked()
                if call.outcomes:
                    crash_point("exchange.handed-in")
                if reply.claims:
                    crash_point("exchange.claimed")
                return reply

    def _accept(self, call: _Call, reply: Exchange) -> None:
        use = self.slot_use
        self.answered = call.number
        self.answered_at, self.calling_since = self._clock.monotonic(), None
        use.used -= call.reserved
        use.heavy_used -= call.heavy_reserved
        for attempt in call.batch:
            self._forget(attempt)
        if reply.words.count("ok") != len(reply.words):
            self._refused.update(word for word in reply.words if word != "ok")
            _say_refusals(call, reply.words)
        self._note_what_is_due(call.ask, reply)
        self._queues.granted(map(queue_name, reply.claims), call.ask.wanted)
        for claim in reply.claims:
            self._start(claim, reply)
        if reply.decisions and self._claiming:
            self._decide()
        if not self._done:
            self.handed_in.set()
        self._calling = False
        self._note_quiet()
        self._slots.wake_rivals(use)

    def _decide(self) -> None:
        """Makes decisions beside the calls: it takes no slot, and nobody waits for it."""
        if self._decider is not None and (self.deciding is None or self.deciding.done()):
            self.deciding = asyncio.create_task(self._make_decisions(self._decider))

    async def _make_decisions(self, decider: Decider) -> None:
        try:
            while await decider.run_once():
                pass
        except (LostError, RedisError, OSError) as error:  # the next call says it
            _log.debug("decisions were not made: %s", error)
            return
        self.slot_use.due = True  # what became ready
        self.wake()

    def _start(self, claim: Claim, reply: Exchange) -> None:
        attempt = Attempt(claim, self)
        if reply.inputs:
            attempt.kept = reply.inputs
        if reply.full:
            attempt.is_full = claim.lease in reply.full
        self._held[claim.queue][claim.lease] = attempt
        self.slot_use.used += 1
        if self._claiming:
            self._executor.start(attempt)
            self.slot_use.heavy_used += attempt.heavy
        else:
            self.finish(attempt, Outcome(claim, OutcomeKind.RETURNED))

    def _note_what_is_due(self, ask: Ask, reply: Exchange) -> None:
        if ask.wanted:
            opens_ms = reply.opens_ms
            self._opens_at = None if opens_ms is None else self._clock.monotonic() + opens_ms / 1000
            more = reply.more or len(reply.claims) == ask.wanted
            if ask.kind is not AskKind.HEAVY:
                self.slot_use.due = more
            if ask.kind is not AskKind.LIGHT:
                self.slot_use.heavy_due = more

    def _forget(self, attempt: Attempt) -> None:
        self._held[attempt.claim.queue].pop(attempt.claim.lease, None)

    def _note_quiet(self) -> None:
        if not self._calling and not any(self._held.values()):
            self.quiet.set()


def _say_refusals(call: _Call, words: Sequence[str]) -> None:
    for attempt, word in zip(call.batch, words, strict=True):
        if word == "ok":
            continue
        assert attempt.outcome is not None
        _log.warning(
            "the outcome %s of %s was answered %r: its lease %s was no longer the task's",
            *(attempt.outcome.kind, attempt, word, attempt.claim.lease.decode()),
        )
