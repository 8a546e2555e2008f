"""A Hypothesis state machine drives the transitions on a real server against the pure model.

After each step the invariants of ``model/invariants.py`` hold between the fold of the log and Redis, and
each claim gave exactly the tasks that the oracle predicts. Lost replies are calls sent twice.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)

from flower_engine.log.client import connect, connect_blocking
from flower_engine.log.live_state import read_live_state
from flower_engine.log.partition import Partition, install
from flower_engine.log.reading import read_log
from flower_engine.log.registering import FlowPlan, register
from flower_engine.log.watching import lapse
from flower_engine.log.working import (
    Claim,
    Exchange,
    Outcome,
    OutcomeKind,
    Service,
    attend,
    finish_and_claim,
    heartbeat,
)
from flower_engine.model.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.events import TaskStarted, decode_event
from flower_engine.model.ids import make_flow_id
from flower_engine.model.invariants import differences
from stateful.oracle import Oracle

T = TypeVar("T")
QUEUES = ("default", "bulk:50%")
MAX_LOST = 2
ERROR = b'{"type":"ValueError","message":"no","traceback":"..."}'


def _workflow(name: str, *tasks: tuple[str, int, tuple[int, ...] | None, str]) -> FlowPlan:
    definition = WorkflowDefinition(
        name=name,
        tasks=tuple(
            TaskDefinition(seq=seq, program=program, priority=priority, depends_on=depends, queue=queue)
            for seq, (program, priority, depends, queue) in enumerate(tasks, start=1)
        ),
    )
    return FlowPlan(name, plan_flow(definition))


PLANS = (
    _workflow("line", *[("A", 0, None, "default")] * 3),
    _workflow("diamond", ("A", 0, (), "default"), ("B", 0, (1,), "default"), ("C", -5, (1,), "default"),
              ("A", 0, (2, 3), "default")),
    _workflow("two:roots", ("A", 0, (), "default"), ("B", 0, (), "default"), ("B", 0, (1, 2), "bulk:50%")),
    _workflow("urgent", ("C", -20, None, "default"), ("C", 19, None, "default")),
    _workflow("bulk", ("A", 5, None, "bulk:50%")),
    _workflow("crowd", *[("B", 0, (), "default")] * 12),
)  # fmt: skip


def _outcome(claim: Claim, kind: OutcomeKind) -> Outcome:
    return Outcome(claim, kind, ERROR if kind is OutcomeKind.SUSPENDED else b"null")


@dataclass
class Worker:
    """What a worker remembers; ``lapsed`` are claims it still believes in though the watcher ended them."""

    name: str
    service: Service
    number: int = 0
    held: list[Claim] = field(default_factory=list[Claim])
    lapsed: list[Claim] = field(default_factory=list[Claim])


class Transitions(RuleBasedStateMachine):
    """Registrations, two workers and a watcher, in any order."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.client = connect(self.url)
        self.blocking = connect_blocking(self.url)
        self.oracle = Oracle(MAX_LOST)
        self.position: str | None = None
        self.registered: list[tuple[str, FlowPlan]] = []
        self.numbers = itertools.count(1)
        self.workers = [
            Worker("one", Service(QUEUES, ("A", "B", "C"))),
            Worker("two", Service(QUEUES[:1], ("B", "C"))),
        ]

    def run(self, call: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await call

        return self.runner.run(awaited())

    def teardown(self) -> None:
        self.run(self.client.aclose())
        self.blocking.close()
        self.runner.close()

    @initialize()
    def start(self) -> None:
        self.blocking.flushall()  # pyright: ignore[reportUnknownMemberType]
        meta = self.run(install(self.client, 0, "test", 1))
        self.partition = Partition(0, meta.installation, meta.generation)
        self.run(attend(self.client, self.partition, QUEUES))
        self._read_log()

    def _read_log(self) -> list[TaskStarted]:
        entries = self.run(read_log(self.client, self.partition, self.position, 1_000_000))
        events = [decode_event(entry.raw) for entry in entries]
        if entries:
            self.position = entries[-1].position
        self.oracle.append(events)
        return [event for event in events if isinstance(event, TaskStarted)]

    @rule(plans=st.lists(st.sampled_from(PLANS), min_size=1, max_size=3), again=st.booleans())
    def register_flows(self, plans: list[FlowPlan], again: bool) -> None:
        flows = [(make_flow_id(next(self.numbers), 0, 7), plan) for plan in plans]
        assert self.run(register(self.client, self.partition, flows)) == ["ok"] * len(flows)
        if again:
            assert set(self.run(register(self.client, self.partition, flows))) == {"duplicate"}
        self.registered += flows
        assert not self._read_log()

    @precondition(lambda self: self.registered)
    @rule(data=st.data())
    def register_an_old_flow_again(self, data: st.DataObject) -> None:
        flow = data.draw(st.sampled_from(self.registered))
        assert self.run(register(self.client, self.partition, [flow])) == ["duplicate"]

    @rule(data=st.data(), who=st.integers(0, 1), wanted=st.integers(0, 20), sends=st.integers(1, 3))
    def finish_and_claim(self, data: st.DataObject, who: int, wanted: int, sends: int) -> None:
        worker = self.workers[who]
        outcomes = [
            _outcome(claim, data.draw(st.sampled_from([*[OutcomeKind.FINISHED] * 3, *OutcomeKind])))
            for claim in worker.held
            if data.draw(st.booleans())
        ]
        replies = self._call(worker, outcomes, wanted, sends)
        assert replies[0].words == ["ok"] * len(outcomes)
        for reply in replies[1:]:
            assert reply == replies[0], "a call sent again gives the first reply again"
        done = [outcome.claim for outcome in outcomes]
        worker.held = [claim for claim in worker.held if claim not in done]
        self._check_claims(worker, wanted, replies[0])

    @precondition(lambda self: any(worker.lapsed for worker in self.workers))
    @rule(kind=st.sampled_from(OutcomeKind))
    def hand_in_late_outcomes(self, kind: OutcomeKind) -> None:
        for worker in self.workers:
            late = [_outcome(claim, kind) for claim in worker.lapsed]
            if late:
                reply = self._call(worker, late, 0, 1)[0]
                assert set(reply.words) <= {"stale", "duplicate"}
                worker.lapsed.clear()
        self._read_log()

    @rule(who=st.integers(0, 1))
    def heartbeat(self, who: int) -> None:
        worker = self.workers[who]
        leases: dict[bytes, list[bytes]] = {}
        for claim in [*worker.held, *worker.lapsed]:
            leases.setdefault(claim.queue, []).append(claim.lease)
        gone = heartbeat(
            self.blocking, self.partition, worker.name, info=b"{}", remember_ms=60_000, leases=leases
        )
        assert sorted(gone) == sorted((claim.queue, claim.lease) for claim in worker.lapsed)

    @rule(queue=st.sampled_from(QUEUES), most=st.integers(1, 6), times=st.integers(1, 2))
    def lapse(self, queue: str, most: int, times: int) -> None:
        for _ in range(times):
            reply = self.run(
                lapse(self.client, self.partition, queues=[queue], lease_ms=0, tick_gap_ms=10**9,
                      max_lost=MAX_LOST, most=most)
            )  # fmt: skip
            for ended in reply.lapses:
                worker = next(worker for worker in self.workers if worker.name == ended.worker)
                claim = next(c for c in worker.held if (c.flow, c.task) == (ended.flow, ended.task))
                worker.held.remove(claim)
                worker.lapsed.append(claim)
        self._read_log()

    def _call(self, worker: Worker, outcomes: list[Outcome], wanted: int, sends: int) -> list[Exchange]:
        worker.number += 1
        send: Callable[[], Awaitable[Exchange]] = lambda: finish_and_claim(  # noqa: E731
            self.client, self.partition, worker.name, worker.number,
            outcomes=outcomes, wanted=wanted, service_args=worker.service.args(),
        )  # fmt: skip
        return [self.run(send()) for _ in range(sends)]

    def _check_claims(self, worker: Worker, wanted: int, reply: Exchange) -> None:
        started = self._read_log()
        claimed = [(claim.flow, claim.task) for claim in reply.claims]
        assert claimed == [(event.flow, event.task) for event in started]
        assert claimed == self.oracle.take(
            worker.name, wanted, worker.service.queues, worker.service.programs
        )
        for claim, event in zip(reply.claims, started, strict=True):
            assert (claim.lease.decode(), claim.attempt, event.worker) == (
                event.lease,
                event.attempt,
                worker.name,
            )
            assert msgspec.json.decode(claim.message)["program"] in worker.service.programs
        worker.held += reply.claims

    @invariant()
    def redis_equals_the_fold_of_its_log(self) -> None:
        live = self.run(read_live_state(self.client, self.partition))
        assert differences(self.oracle.flows, live) == []


def test_transitions_follow_the_model(redis_url: str) -> None:
    machine = type("Machine", (Transitions,), {"url": redis_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100,
            stateful_step_count=30,
            phases=(Phase.generate, Phase.shrink),
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
