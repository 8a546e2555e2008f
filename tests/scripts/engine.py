"""One partition on a real server, with short names for its transitions."""

import asyncio
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from redis import Redis

from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.engine_clock import now_ms
from flower_engine.log.keys import GROUP
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_log
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.events.events import AnyEvent, OutcomeRefused
from flower_engine.model.flow_control.flow_control import FlowControl, Strike
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold
from flower_engine.model.folding.schedule_state import fold_schedules
from flower_engine.model.invariants.invariants import differences
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.task_spec import DEFAULT_QUEUE, RetryPolicy
from flower_engine.model.values.engine_time import SLOWER
from flower_engine.model.values.ids import make_flow_id
from flower_engine.transitions.flow_control_transitions import read_held, set_control
from flower_engine.transitions.register_transition import FlowPlan, Registered, Start, register
from flower_engine.transitions.restored_flow import Restored
from flower_engine.transitions.tree_transitions import look_at_trees
from flower_engine.transitions.watcher_transitions import Fired, Lapses, fire, lapse
from flower_engine.transitions.worker_transitions import (
    Claim,
    Exchange,
    Outcome,
    Reported,
    Service,
    Standing,
    WorkerInfo,
    attend,
    finish_and_claim,
    heartbeat,
)
from folded_log import FoldedLog

A_MINUTE_MS = 60_000
AN_ERROR = b'{"type":"E","message":"no"}'
_STAYS = {
    *("meta", "log", "work", "queues", "turns", "endings", "ended", "keyed", "key", "op"),
    *("call", "workers", "worker", "limits", "rate", "programs", "served", "schedule", "schedules"),
}


def task(
    seq: int,
    *depends_on: int,
    program: str = "A",
    priority: int = 0,
    queue: str = DEFAULT_QUEUE,
    retry: RetryPolicy | None = None,
    timeout_ms: int | None = None,
    queue_timeout_ms: int | None = None,
    units: int = 1,
    parameters: dict[str, Any] | None = None,
    **rules: Any,
) -> TaskDefinition:
    """A task with exactly these dependencies."""
    return TaskDefinition(
        task_seq=seq,
        program=program,
        priority=priority,
        queue=queue,
        depends_on=depends_on,
        retry=retry,
        timeout_ms=timeout_ms,
        queue_timeout_ms=queue_timeout_ms,
        units=units,
        parameters=parameters or {},
        **rules,
    )


def chain(length: int) -> list[TaskDefinition]:
    """Tasks one after another."""
    return [task(1), *(task(seq, seq - 1) for seq in range(2, length + 1))]


def fan(width: int) -> list[TaskDefinition]:
    """One task, then ``width`` beside each other, then one that waits for them all."""
    middle = range(2, width + 2)
    return [task(1), *(task(seq, 1) for seq in middle), task(width + 2, *middle)]


class Engine:
    """What the tests do to a partition; workers' call numbers are counted here."""

    def __init__(self, client: AsyncRedis, blocking: Redis, partition: Partition) -> None:
        self.client = client
        self.blocking = blocking
        self.partition = partition
        self.keys = partition.keys
        self.programs: set[str] = {"A"}
        self._flow_numbers = itertools.count(1)
        self._last_numbers: dict[str, int] = {}
        self.answered: dict[str, int] = {}  # the last call of each worker that was answered
        self._log = FoldedLog()

    # What a register does

    def plan(
        self, *tasks: TaskDefinition, workflow: str = "etl", timeout_ms: int | None = None, **fork: Any
    ) -> FlowPlan:
        self.programs |= {row.program for row in tasks}
        planned = plan_flow(WorkflowDefinition(name=workflow, tasks=tasks))
        return FlowPlan(workflow, planned, timeout_ms=timeout_ms, **fork)

    def new_id(self) -> str:
        return make_flow_id(0, self.partition.number, next(self._flow_numbers))

    async def register(
        self, *tasks: TaskDefinition, workflow: str = "etl", timeout_ms: int | None = None,
        cleanup_ms: int | None = None, **start: Any
    ) -> str:  # fmt: skip
        """Registers one flow of these tasks; its id."""
        plan = self.plan(*tasks, workflow=workflow, timeout_ms=timeout_ms, cleanup_ms=cleanup_ms)
        registered = await self.start(plan, **start)
        assert registered.word == "ok"
        return registered.flow

    async def start(self, plan: FlowPlan, **start: Any) -> Registered:
        """Registers one flow of this plan; what came of it."""
        (registered,) = await register(self.client, self.partition, [Start(self.new_id(), plan, **start)])
        return registered

    async def register_many(self, count: int, *tasks: TaskDefinition, workflow: str = "etl") -> list[str]:
        plan = self.plan(*tasks, workflow=workflow)
        flows = [self.new_id() for _ in range(count)]
        registered = await register(self.client, self.partition, [Start(flow, plan) for flow in flows])
        assert [each.word for each in registered] == ["ok"] * count
        return flows

    # What a worker does

    async def attend(self, *queues: str) -> None:
        await attend(self.client, self.partition, queues)

    async def call(
        self,
        worker: str,
        number: int,
        *,
        outcomes: Sequence[Outcome] = (),
        wanted: int = 0,
        queues: Sequence[str] = (DEFAULT_QUEUE,),
        programs: Iterable[str] | None = None,
        answered: int | None = None,
        version: str = "",
    ) -> Exchange:
        """One finish_and_claim with a call number of the test's choice."""
        service = Service(tuple(queues), tuple(sorted(self.programs if programs is None else programs)))
        self._last_numbers[worker] = max(number, self._last_numbers.get(worker, 0))
        reply = await finish_and_claim(
            self.client,
            self.partition,
            worker,
            number,
            answered=self.answered.get(worker, 0) if answered is None else answered,
            outcomes=outcomes,
            wanted=wanted,
            service_args=service.args(),
            version=version,
        )
        self.answered[worker] = max(number, self.answered.get(worker, 0))
        return reply

    async def exchange(
        self,
        worker: str = "w1",
        *,
        outcomes: Sequence[Outcome] = (),
        wanted: int = 0,
        queues: Sequence[str] = (DEFAULT_QUEUE,),
        programs: Iterable[str] | None = None,
        version: str = "",
    ) -> Exchange:
        """One finish_and_claim with the worker's next call number."""
        number = self._last_numbers.get(worker, 0) + 1
        return await self.call(
            *(worker, number),
            outcomes=outcomes,
            wanted=wanted,
            queues=queues,
            programs=programs,
            version=version,
        )

    async def claim(self, wanted: int = 100, worker: str = "w1", **service: Any) -> list[Claim]:
        return (await self.exchange(worker, wanted=wanted, **service)).claims

    async def finish(self, *claims: Claim, worker: str = "w1", payload: bytes = b"null") -> list[str]:
        return await self._hand_in(OutcomeKind.FINISHED, claims, worker, payload)

    async def store(self, *claims: Claim, worker: str = "w1", payload: bytes = b"{}") -> list[str]:
        return await self._hand_in(OutcomeKind.STORED, claims, worker, payload)

    async def suspend(self, *claims: Claim, worker: str = "w1", payload: bytes = AN_ERROR) -> list[str]:
        return await self._hand_in(OutcomeKind.SUSPENDED, claims, worker, payload)

    async def fail(self, *claims: Claim, worker: str = "w1", payload: bytes = AN_ERROR) -> list[str]:
        return await self._hand_in(OutcomeKind.FAILED, claims, worker, payload)

    async def ask_for_retry(self, *claims: Claim, worker: str = "w1", after_ms: int = -1) -> list[str]:
        return await self._hand_in(OutcomeKind.RETRY, claims, worker, AN_ERROR, after_ms)

    async def again(
        self, *claims: Claim, worker: str = "w1", given: bytes = b"{}", after_ms: int = 0, at_ms: int = 0
    ) -> list[str]:
        """Their programs ask for another round."""
        if at_ms:
            return await self._hand_in(OutcomeKind.AGAIN_AT, claims, worker, given, at_ms)
        return await self._hand_in(OutcomeKind.AGAIN, claims, worker, given, after_ms)

    async def flow_again(
        self, *claims: Claim, worker: str = "w1", given: bytes = b"{}", after_ms: int = 0
    ) -> list[str]:
        """Their programs ask for another round of their flow."""
        return await self._hand_in(OutcomeKind.FLOW_AGAIN, claims, worker, given, after_ms)

    async def crash(self, *claims: Claim, worker: str = "w1", max_lost: int = 3) -> list[str]:
        payload = b'{"type":"ProcessLost","message":"process 7 was ended by signal 11"}'
        return await self._hand_in(OutcomeKind.CRASHED, claims, worker, payload, max_lost)

    async def give_back(self, *claims: Claim, worker: str = "w1") -> list[str]:
        return await self._hand_in(OutcomeKind.RETURNED, claims, worker, b"null")

    async def _hand_in(
        self, kind: OutcomeKind, claims: Sequence[Claim], worker: str, payload: bytes, number: int = 0
    ) -> list[str]:
        outcomes = [Outcome(claim, kind, payload, number) for claim in claims]
        return (await self.exchange(worker, outcomes=outcomes)).words

    async def control(self, *controls: FlowControl, strikes: Sequence[Strike] = ()) -> list[str]:
        """These settings hold from now on, and no others; what changed."""
        changed = await set_control(
            self.client,
            self.partition,
            partitions=1,
            held=await read_held(self.client, self.partition),
            controls=controls,
            strikes=strikes,
        )
        assert changed is not None
        return changed

    async def work_off(self, worker: str = "w1", *, slots: int = 100, **service: Any) -> list[Claim]:
        """Runs everything that this worker can run; what it ran, in order."""
        ran: list[Claim] = []
        outcomes: list[Outcome] = []
        while True:
            got = await self.exchange(worker, outcomes=outcomes, wanted=slots, **service)
            assert got.words == ["ok"] * len(outcomes)
            if not got.claims and not got.more:
                return ran
            ran += got.claims
            outcomes = [Outcome(claim, OutcomeKind.FINISHED) for claim in got.claims]

    def heartbeat(
        self,
        worker: str,
        *claims: Claim,
        remember_ms: int = A_MINUTE_MS,
        progress: Sequence[Reported] = (),
        unable: Mapping[str, str] | None = None,
        programs: Sequence[str] = ("A",),
        queues: Sequence[str] = (DEFAULT_QUEUE,),
        signatures: str = "",
        started_ms: int = 1,
        standing: Sequence[Standing] = (),
    ) -> list[tuple[bytes, bytes]]:
        leases: dict[bytes, list[bytes]] = {}
        for claim in claims:
            leases.setdefault(claim.queue, []).append(claim.lease)
        info = WorkerInfo(
            worker=worker,
            host="h",
            pid=1,
            started_ms=started_ms,
            slots=1,
            queues=tuple(queues),
            programs=tuple(programs),
            signatures=signatures,
            tells_version=True,
            unable=unable or {},
        )
        return heartbeat(
            self.blocking,
            self.partition,
            worker,
            info=msgspec.json.encode(info),
            remember_ms=remember_ms,
            answered=self.answered.get(worker, 0),
            leases=leases,
            progress=progress,
            standing=standing,
        )

    # What the watcher does

    async def lapse(
        self,
        *,
        lease_ms: int = A_MINUTE_MS,
        max_lost: int = 3,
        most: int = 100,
        queues: Sequence[str] = (DEFAULT_QUEUE,),
    ) -> Lapses:
        return await lapse(
            self.client,
            self.partition,
            queues=queues,
            lease_ms=lease_ms,
            tick_gap_ms=A_MINUTE_MS,
            max_lost=max_lost,
            most=most,
        )

    async def fire(self, *, most: int = 100) -> Fired:
        """Moves the timers that are due, with no stall seen."""
        await self.tick()
        return await fire(
            self.client, self.partition, lease_ms=A_MINUTE_MS, tick_gap_ms=A_MINUTE_MS, most=most
        )

    async def bring_due(self) -> Fired:
        """Makes every timeout due, waits for retries and starts, and moves them all. Where these are not near
        (but within half a minute), Redis' clock steps: the due time stands in an event."""
        timers: list[bytes] = await send(self.client, "ZRANGE", self.keys.timers, 0, -1, "WITHSCORES")
        for member, due in zip(timers[::2], timers[1::2], strict=True):
            if member[:1] in b"rbs":
                wait_ms = float(due) - await self.engine_time()
                assert wait_ms <= A_MINUTE_MS / 2, "a watcher would take a longer step for a stall"
                if wait_ms >= 1_000:
                    await self.tick()
                    await self.step_clock(int(wait_ms * SLOWER / (SLOWER - 1)) + 10)
                else:
                    await asyncio.sleep(max(0.0, wait_ms / 1000) + 0.001)
            else:
                await send(self.client, "ZADD", self.keys.timers, 1, member)
        return await self.fire()

    async def restored(self, flow: str) -> Restored:
        """The flow as its events left it, for operations on flows that have ended."""
        entries = await read_log(self.client, self.partition, None, 1_000_000)
        state = self._log.flow(flow, [entry.raw for entry in entries])
        return Restored.of(state, position=entries[-1].position)

    async def tick(self) -> None:
        """A watcher that ticks: from here on a call of lapse sees no stall."""
        assert (await self.lapse(lease_ms=0, queues=())).stalled_ms == 0

    async def step_clock(self, by_ms: int) -> None:
        """Redis' clock steps, as far as the scripts see: what they add to it is changed, which is the same.

        (What Redis itself measures by its clock, idle times and the lifetimes of keys, does not.)
        """
        await send(self.client, "HINCRBY", self.keys.meta, "skew", by_ms)

    async def engine_time(self) -> int:
        """Engine time now, in milliseconds."""
        return await now_ms(self.client, self.keys)

    async def lose(self, *claims: Claim, worker: str = "w1") -> None:
        """Makes the leases look as if their worker had sent no heartbeat for two minutes."""
        for claim in claims:
            work = self.keys.work("") + claim.queue.decode()
            await send(self.client, "XCLAIM", work, GROUP, worker, 0, claim.lease, "IDLE", 2 * A_MINUTE_MS)

    # What an observer sees

    async def raw_events(self) -> list[bytes]:
        return [entry.raw for entry in await read_log(self.client, self.partition, None, 1_000_000)]

    async def events(self) -> list[AnyEvent]:
        return self._log.events(await self.raw_events())

    async def refused(self) -> list[OutcomeRefused]:
        return [event for event in await self.events() if isinstance(event, OutcomeRefused)]

    async def flows(self) -> dict[str, FlowState]:
        """The fold of the log."""
        return fold(await self.events())

    async def flow(self, flow: str) -> FlowState:
        return self._log.flow(flow, await self.raw_events())

    async def key_names(self) -> set[str]:
        """Every key, without the partition's prefix."""
        prefix = self.keys.meta.removesuffix("meta")
        keys: list[bytes] = await send(self.client, "KEYS", prefix + "*")
        return {key.decode().removeprefix(prefix) for key in keys}

    async def bells(self) -> dict[str, int]:
        """How many bells hang, by ``queue:program``."""
        names = [name for name in await self.key_names() if name.startswith("bell:")]
        prefix = self.keys.meta.removesuffix("meta")
        return {name.removeprefix("bell:"): await send(self.client, "LLEN", prefix + name) for name in names}

    async def check(self) -> None:
        """Redis is what the log says; and when all flows have ended, nothing of them is left behind."""
        flows, schedules = await self.flows(), fold_schedules(await self.events())
        live = await read_live_state(self.client, self.partition)
        found = differences(flows, live, schedules=schedules)
        assert found == [], found
        if not flows or any(flow.ended_ms is None for flow in flows.values()):
            return
        assert await self.claim(1, worker="the last one") == []  # takes down bells that still hang
        if "bell::flow" in await self.key_names():
            assert (await look_at_trees(self.client, self.partition))[1] == []
        left = {name for name in await self.key_names() if name.partition(":")[0] not in _STAYS}
        assert left == set(), left
        for queue in (name for name in await self.key_names() if name.startswith("work:")):
            work = self.keys.work("") + queue.removeprefix("work:")
            assert await send(self.client, "XLEN", work) == 0
            assert (await send(self.client, "XPENDING", work, GROUP))["pending"] == 0
