"""A Hypothesis state machine drives the transitions on a real server against the pure model.

After each step the invariants of ``model/invariants.py`` hold between the fold of the log and Redis, and
each claim gave exactly the tasks that the oracle predicts; operators' calls are refused exactly where
``expectations.py`` says. Lost replies are calls sent twice; races are the steps in any order.
"""

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest.mock import patch

import msgspec
import pytest
import uvloop
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

import fuzzing
from flower_engine.errors import (
    MovedError,
    NeedsResultsError,
    NotUnderWayError,
    RefusedError,
    StoreError,
)
from flower_engine.flows.flow_operations import results_of
from flower_engine.flows.forks import plan_of_fork
from flower_engine.insight.kept_values import read_kept_values
from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import connect, connect_blocking, send
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_log
from flower_engine.model.attempt_events import TaskStarted
from flower_engine.model.blob_ref import BlobRef
from flower_engine.model.definition import (
    Keying,
    PlannedTask,
    TaskDefinition,
    TaskKeys,
    WorkflowDefinition,
    plan_flow,
)
from flower_engine.model.events import decode_event
from flower_engine.model.flow_control import FlowControl
from flower_engine.model.flow_state import FlowState
from flower_engine.model.ids import make_flow_id
from flower_engine.model.invariants import differences
from flower_engine.model.kept_invariants import value_differences
from flower_engine.model.kept_results import NOTHING, payload_of, reads_of
from flower_engine.model.lanes import lane_of
from flower_engine.model.limits import limits_of_lane, units_of
from flower_engine.model.outcome_kinds import OutcomeKind
from flower_engine.model.status import Status
from flower_engine.model.task_spec import RetryPolicy
from flower_engine.transitions import operator_transitions, register_transition, worker_transitions
from flower_engine.transitions.flow_control_transitions import read_held, set_control, values_of
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.loader import Script
from flower_engine.transitions.operator_transitions import Body, Operated, Results
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.restored_flow import Restored
from flower_engine.transitions.task_fields import decode_message, with_parameters
from flower_engine.transitions.watcher_transitions import fire, lapse
from flower_engine.transitions.worker_transitions import (
    Claim,
    Exchange,
    Outcome,
    Reported,
    Service,
    attend,
    finish_and_claim,
    hand_back,
    heartbeat,
    read_inputs,
)
from stateful import expectations
from stateful.oracle import Oracle
from stateful.starts import Starts

pytestmark = pytest.mark.hypothesis
T = TypeVar("T")
QUEUES = ("default", "bulk:50%")
MAX_LOST = 2
HOUR_MS = 3_600_000
ERROR = b'{"type":"ValueError","message":"no","traceback":"..."}'


def _workflow(name: str, *tasks: tuple[str, int, tuple[int, ...] | None, str]) -> FlowPlan:
    definition = WorkflowDefinition(
        name=name,
        tasks=tuple(
            TaskDefinition(task_seq=seq, program=program, priority=priority, depends_on=depends, queue=queue)
            for seq, (program, priority, depends, queue) in enumerate(tasks, start=1)
        ),
    )
    return FlowPlan(name, plan_flow(definition))


def _fragile() -> FlowPlan:
    """Its tasks are retried, and everything of it may take too long."""
    retry = RetryPolicy(max_attempts=3, delay_ms=1, backoff=1.0, jitter=0.0)
    limits: dict[str, Any] = {"retry": retry, "timeout_ms": 600_000, "queue_timeout_ms": 600_000}
    rows = [
        TaskDefinition(task_seq=1, program="A", **limits),
        TaskDefinition(task_seq=2, program="B", depends_on=()),
    ]
    rows += [TaskDefinition(task_seq=seq, program="B", depends_on=(1, seq - 1), **limits) for seq in (3, 4)]
    definition = WorkflowDefinition(name="fragile", tasks=tuple(rows))
    return FlowPlan("fragile", plan_flow(definition), timeout_ms=600_000)


HEAVY = Keying(fair_by="customer", programs={"B": "customer"})


def _heavy() -> FlowPlan:
    """Tasks of different weights and customers."""
    tasks = [
        TaskDefinition(
            task_seq=seq,
            program="B",
            depends_on=(),
            units=1 + seq % 3,
            parameters={"customer": f"c{seq % 2}"},
        )
        for seq in range(1, 7)
    ]
    definition = WorkflowDefinition(name="heavy", tasks=tuple(tasks), keying=HEAVY)
    return FlowPlan("heavy", plan_flow(definition), keying=HEAVY)


def _fork() -> FlowPlan:
    """A diamond whose first two tasks were taken over."""
    rows = ((), (1,), (1,), (2, 3), (4,))
    tasks = [
        TaskDefinition(task_seq=seq, program="B", depends_on=row) for seq, row in enumerate(rows, start=1)
    ]
    definition = WorkflowDefinition(name="fork", tasks=tuple(tasks))
    return FlowPlan("fork", plan_flow(definition), forked_from="x", taken={1: b"[1]"}, ignored=[2])


def _with_data(name: str, *tasks: tuple[str, dict[int, bool], tuple[int, ...]], **fork: Any) -> FlowPlan:
    """A flow whose tasks read others: for each its program, what it reads (and whether it cannot do without),
    and what it only waits for."""
    planned = [
        PlannedTask(
            seq=seq,
            task_seq=seq,
            program=program,
            depends_on=tuple(sorted({*reads, *after})),
            parameters={
                f"p{other}": {"$from": other} if is_needed else {"$from": other, "default": 0}
                for other, is_needed in reads.items()
            },
            reads={str(other): other for other in reads},
            refs=bool(reads),
        )
        for seq, (program, reads, after) in enumerate(tasks, start=1)
    ]
    return FlowPlan(name, planned, **fork)


def _pipe() -> FlowPlan:
    """Each task reads the one before it, and the last one the first, if that has a result."""
    return _with_data(
        "pipe",
        ("A", {}, ()),
        ("B", {1: True}, ()),
        ("A", {2: True}, ()),
        ("C", {3: True, 1: False}, ()),
    )


def _mesh() -> FlowPlan:
    """One result that several read, one that nobody needs, a reader of a reader, and mere order between."""
    return _with_data(
        "mesh",
        ("B", {}, ()),
        ("A", {}, ()),
        ("B", {1: True, 2: False}, ()),
        ("B", {1: True}, (2,)),
        ("C", {3: True, 4: True}, ()),
        ("B", {}, (3,)),
        ("B", {2: False}, (6,)),
    )


def _data_fork() -> FlowPlan:
    """What was taken over lies in the event, in a blob, or was given by an operator; or there is nothing."""
    return _with_data(
        "data fork",
        ("B", {}, ()),
        ("B", {}, ()),
        ("B", {}, ()),
        ("B", {}, ()),
        ("B", {1: True, 2: True, 3: True}, ()),
        ("A", {4: False, 5: True}, ()),
        forked_from="x",
        taken={1: b'{"of":"another"}', 2: BlobRef(sha256="ab", bytes=70_000, store="api")},
        ignored=[3, 4],
        stand_ins={3: b"[3]"},
    )


def _with_rules(name: str, *tasks: dict[str, Any], timeout_ms: int | None = None) -> FlowPlan:
    """Tasks with rules; ``reads``: whose results each takes, and whether it cannot do without."""
    planned: list[PlannedTask] = []
    for seq, given in enumerate(tasks, start=1):
        reads: dict[int, bool] = given.pop("reads", {})
        after: tuple[int, ...] = given.pop("after", ())
        planned.append(
            PlannedTask(
                seq=seq,
                task_seq=seq,
                program=given.pop("program", "B"),
                depends_on=tuple(sorted({*reads, *after})),
                parameters={
                    f"p{other}": {"$from": other} if is_needed else {"$from": other, "default": 0}
                    for other, is_needed in reads.items()
                },
                reads={str(other): other for other in reads},
                refs=bool(reads),
                **given,
            )
        )
    return FlowPlan(name, planned, timeout_ms=timeout_ms)


RETRY = RetryPolicy(max_attempts=2, delay_ms=1, backoff=1.0, jitter=0.0)


def _branches() -> FlowPlan:
    """A join behind branches of which one may be given up, with a clean-up and a report of failures."""
    return _with_rules(
        "branches",
        {"on_failure": "give_up"},
        {"program": "A"},
        {"after": (1,)},
        {"after": (2,)},
        {"after": (3, 4)},
        {"after": (1, 3, 4), "rule": "settled", "on_failure": "hold:60"},
        {"after": (1, 2), "rule": "failed", "retry": RETRY},
        {"after": (6, 7), "rule": "finished"},
        timeout_ms=600_000,
    )


def _race() -> FlowPlan:
    """The first of several wins, two of three are enough, and what is read may be missing."""
    return _with_rules(
        "race",
        {"on_failure": "pass", "stand_in": {"of": 1}},
        {"on_failure": "pass", "queue_timeout_ms": 600_000},
        {"on_failure": "hold:60", "queue_timeout_ms": 600_000},
        {"reads": {1: False, 2: False, 3: False}, "rule": "any", "retry": RETRY},
        {"after": (1, 2, 3), "rule": "at_least:2", "on_failure": "give_up"},
        {"reads": {2: True}, "after": (1,), "on_failure": "give_up"},
        {"after": (3, 6), "rule": "failed", "program": "C"},
        {"reads": {4: True, 7: False}, "program": "C"},
    )


def _given_up() -> FlowPlan:
    """Whatever fails is given up, and everything behind it is passed over, step by step."""
    return _with_rules(
        "given up",
        {"on_failure": "give_up", "retry": RETRY, "timeout_ms": 600_000},
        {"after": (1,), "on_failure": "give_up"},
        {"after": (2,), "on_failure": "give_up"},
        {"after": (2, 3), "rule": "failed"},
        {"after": (3, 4), "rule": "any"},
        {"after": (1, 2, 3), "rule": "finished"},
    )


def _cleaned_up() -> FlowPlan:
    """Something is done, used and undone; what was used is counted at the end, too, and all of it takes too
    long one day, as may the cleanup."""
    return _with_rules(
        "cleaned up",
        {"on_failure": "hold:60"},
        {"reads": {1: True}},
        {"reads": {1: True}, "after": (2,), "program": "A"},
        {"reads": {1: False}, "after": (2, 3), "rule": "settled", "finally_": True},
        {"reads": {4: False}, "retry": RETRY},
        {"after": (2, 3), "rule": "failed", "finally_": True, "on_failure": "give_up"},
        {"after": (3, 5), "rule": "settled", "program": "C"},
        {"after": (4, 5, 6), "rule": "finished"},
        timeout_ms=600_000,
    )


def _kept_clean() -> FlowPlan:
    """A cleanup of two steps behind work that is done side by side; the first may begin early."""
    return _with_rules(
        "kept clean",
        {},
        {"program": "A", "on_failure": "give_up"},
        {"after": (1,), "program": "C"},
        {"after": (1, 2, 3), "rule": "any", "finally_": True},
        {"after": (2, 3, 4), "rule": "settled", "finally_": True, "queue_timeout_ms": 600_000},
    )


def _plans() -> tuple[FlowPlan, ...]:
    return (
        _workflow("line", *[("A", 0, None, "default")] * 3),
        _workflow("diamond", ("A", 0, (), "default"), ("B", 0, (1,), "default"), ("C", -5, (1,), "default"),
                  ("A", 0, (2, 3), "default")),
        _workflow("two:roots", ("A", 0, (), "default"), ("B", 0, (), "default"),
                  ("B", 0, (1, 2), "bulk:50%")),
        _workflow("urgent", ("C", -20, None, "default"), ("C", 19, None, "default")),
        _workflow("bulk", ("A", 5, None, "bulk:50%")),
        _workflow("crowd", *[("B", 0, (), "default")] * 12),
        _heavy(),
        _fragile(),
        _fork(),
        _pipe(),
        _mesh(),
        _data_fork(),
    )  # fmt: skip


CONTROLS = (
    FlowControl(scope="global", max_running=3),
    FlowControl(scope="global", is_paused=True),
    FlowControl(scope="queue", name="bulk:50%", max_running=2),
    FlowControl(scope="queue", name="default", is_paused=True),
    FlowControl(scope="workflow", name="line", max_running=1, max_flows=1),
    FlowControl(scope="workflow", name="crowd", max_running=5),
    FlowControl(scope="workflow", name="diamond", max_flows=2, count_suspended=True, is_paused=True),
    FlowControl(scope="workflow", name="fragile", max_flows=1),
    FlowControl(scope="workflow", name="two:roots", max_flows=1, max_running=1),
    FlowControl(scope="program", name="A", max_running=2),
    FlowControl(scope="program", name="B", max_running=4),
    FlowControl(scope="program", name="B", is_paused=True),
    FlowControl(scope="program", name="B", limit_by="customer", max_per_key=1),
    FlowControl(scope="program", name="C", max_running=1, is_paused=True),
)
FLOW_LIMITS = (
    FlowControl(scope="workflow", name="cleaned up", max_flows=1),
    FlowControl(scope="workflow", name="kept clean", max_flows=1, count_suspended=True),
    FlowControl(scope="workflow", name="cleaned up", max_flows=2, at_max_flows="cancel_oldest"),
)
KINDS = [*[OutcomeKind.FINISHED] * 6, *OutcomeKind]


VERSIONS = ("aa", "bb")  # of the programs of the two workers


def _outcome(claim: Claim, kind: OutcomeKind, who: int = 0) -> Outcome:
    """No two attempts have the same result."""
    result = msgspec.json.encode({"of": claim.flow, "task": claim.task, "attempt": claim.attempt})
    stored = msgspec.json.encode(BlobRef(sha256=claim.lease.decode(), bytes=len(result), store="api"))
    results = {OutcomeKind.FINISHED: result, OutcomeKind.STORED: stored, OutcomeKind.RETURNED: b"null"}
    results |= {OutcomeKind.AGAIN: result, OutcomeKind.AGAIN_AT: result}  # given to the next round
    payload = results.get(kind, ERROR)
    number = {OutcomeKind.RETRY: 1, OutcomeKind.CRASHED: MAX_LOST}.get(kind, 0)
    if kind in (OutcomeKind.AGAIN, OutcomeKind.AGAIN_AT):
        number = claim.attempt % 2  # now or in a millisecond, or then, which is past
    progress = b'{"fraction":0.5}' if kind is OutcomeKind.FAILED else b""
    unfit, others = ((VERSIONS[who],), (VERSIONS[1 - who],)) if kind is OutcomeKind.UNFIT else ((), ())
    return Outcome(claim, kind, payload, number, progress, unfit, others)


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
    plans = _plans()
    in_steps = False  # every release of several dependents goes in steps, of which the oracle knows none

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.client = connect(self.url)
        self.blocking = connect_blocking(self.url)
        self.oracle = Oracle(MAX_LOST)
        self.starts = Starts()
        self.position: str | None = None
        self.last_ms = 0
        self.registered: list[Start] = []
        self.keys: dict[str, Start] = {}
        self.limits: dict[str, str] = {}
        self.had_limits = False
        self.numbers = itertools.count(1)
        self.workers = [
            Worker("one", Service(QUEUES, ("A", "B", "C"))),
            Worker("two", Service(QUEUES[:1], ("B", "C"))),
        ]
        self.oracle.versions = dict(zip(("one", "two"), VERSIONS, strict=True))

    def run(self, call: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await call

        # Not the runner's own run: it has Ctrl-C handled otherwise each time, some ten times a step.
        return self.runner.get_loop().run_until_complete(awaited())

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
        self._lapse(QUEUES[0], 0)  # the first tick: from now on no stall is seen
        self._read_log()

    def _read_log(self) -> list[TaskStarted]:
        """The starts that are new in the log; the oracle knows all of it then."""
        entries = self.run(read_log(self.client, self.partition, self.position, 1_000_000))
        events = [decode_event(entry.raw) for entry in entries]
        for event in events:
            assert event.at >= self.last_ms, f"engine time went back from {self.last_ms}: {event}"
            self.last_ms = event.at
            self.starts.append(event)
            if isinstance(event, TaskStarted):
                self._check_time(event)
        if entries:
            self.position = entries[-1].position
        self.oracle.admitted(self._in_line())
        self.oracle.append(events)
        return [event for event in events if isinstance(event, TaskStarted)]

    def _check_time(self, event: TaskStarted) -> None:
        """Nothing starts before it is due, whatever the clock does."""
        flow = self.oracle.flows.get(event.flow)
        if flow is not None:
            task = flow.task(event.task)
            due = max(flow.registered.start_ms, task.retry_ms or 0, task.again_ms or 0)
            assert event.at >= due, f"{event} is before {due}"

    @rule(step_ms=st.sampled_from([-HOUR_MS, -60_000, 60_000, HOUR_MS]), is_seen=st.booleans())
    def step_the_clock(self, step_ms: int, is_seen: bool) -> None:
        """Redis' clock steps right behind a look of a watcher, which looks again now or later."""
        self._lapse("none", 1)
        self.run(send(self.client, "HINCRBY", self.partition.keys.meta, "skew", step_ms))
        if is_seen:
            self._lapse("none", 1)

    @rule(
        numbers=st.lists(st.integers(0, 11), min_size=1, max_size=3),
        again=st.booleans(),
        delay_ms=st.sampled_from([0, 0, 0, 2]),
    )
    def register_flows(self, numbers: list[int], again: bool, delay_ms: int) -> None:
        starts = [
            Start(make_flow_id(next(self.numbers), 0, 7), self.plans[number], delay_ms=delay_ms)
            for number in numbers
        ]
        assert {each.word for each in self._register(*starts)} == {"ok"}
        if again:
            assert {each.word for each in self._register(*starts)} == {"duplicate"}
        self.registered += starts
        assert not self._read_log()

    @precondition(lambda self: self.registered)
    @rule(data=st.data())
    def register_an_old_flow_again(self, data: st.DataObject) -> None:
        (registered,) = self._register(data.draw(st.sampled_from(self.registered)))
        assert registered.word == "duplicate"

    @rule(key=st.sampled_from("xyz"), number=st.integers(0, 1))
    def register_with_a_key(self, key: str, number: int) -> None:
        start = Start(make_flow_id(next(self.numbers), 0, 7), self.plans[number], key=key, by="cli")
        (registered,) = self._register(start)
        known = self.keys.setdefault(key, start)
        assert registered.word == ("ok" if known is start else "known")
        assert (registered.flow, registered.workflow) == (known.flow, known.plan.workflow)
        if known is start:
            self.registered.append(start)
        assert not self._read_log()

    def _register(self, *starts: Start) -> list[Any]:
        return self.run(register(self.client, self.partition, starts))

    @rule(data=st.data(), who=st.integers(0, 1), wanted=st.integers(0, 20), sends=st.integers(1, 3))
    def finish_and_claim(self, data: st.DataObject, who: int, wanted: int, sends: int) -> None:
        outcomes = [
            _outcome(claim, data.draw(st.sampled_from(KINDS)), who)
            for claim in self.workers[who].held
            if data.draw(st.booleans())
        ]
        self.finish_and_claim_now(who, outcomes, wanted, sends)

    def finish_and_claim_now(self, who: int, outcomes: list[Outcome], wanted: int, sends: int = 1) -> None:
        worker = self.workers[who]
        refusing = [(one.claim.flow, one.claim.task) for one in outcomes if one.kind is OutcomeKind.UNFIT]
        refused_by_all = [key for key in refusing if VERSIONS[1 - who] in self.oracle.kept_from.get(key, ())]
        replies = self._call(worker, outcomes, wanted, sends)
        assert replies[0].words == ["ok"] * len(outcomes)
        for reply in replies[1:]:  # that there are decisions is true of the moment
            told = msgspec.structs.replace(reply, decisions=replies[0].decisions)
            assert told == replies[0], "a call sent again gives the first reply again"
        done = [outcome.claim for outcome in outcomes]
        worker.held = [claim for claim in worker.held if claim not in done]
        self._check_claims(worker, wanted, replies[0])
        for flow, task in refused_by_all:  # nobody is left who may take it
            if flow in self.oracle.flows:
                assert self.oracle.flows[flow].task(task).status is Status.SUSPEND

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
        told = [Reported(claim, b'{"note":"beat"}') for claim in [*worker.held, *worker.lapsed]]
        gone = heartbeat(
            self.blocking,
            self.partition,
            worker.name,
            info=b"{}",
            remember_ms=60_000,
            answered=worker.number,
            leases=leases,
            progress=told,
        )
        self._read_log()
        assert sorted(gone) == sorted((claim.queue, claim.lease) for claim in worker.lapsed)

    @rule(who=st.integers(0, 1), times=st.integers(1, 2))
    def hand_back(self, who: int, times: int) -> None:
        """A worker's process ends, with all that it holds; another one begins in its place."""
        worker = self.workers[who]
        counts = [
            hand_back(self.blocking, self.partition, worker.name, worker.service.queues) for _ in range(times)
        ]
        assert counts == [len(worker.held), 0][:times]
        assert not self._read_log()
        with pytest.raises(StoreError):
            self._call(worker, [], 1, 1)  # one that was under way, and comes late
        for claim in worker.held:
            task = self.oracle.flows[claim.flow].task(claim.task)
            assert task.status is not Status.RUNNING
        worker.lapsed += worker.held
        worker.name, worker.number, worker.held = worker.name + "+", 0, []
        self.oracle.versions[worker.name] = VERSIONS[who]

    @rule(queue=st.sampled_from(QUEUES), most=st.integers(1, 6), times=st.integers(1, 2))
    def lapse(self, queue: str, most: int, times: int) -> None:
        for _ in range(times):
            reply = self._lapse(queue, most)
            assert all(ended.worker.rstrip("+") in ("one", "two") for ended in reply.lapses)
        self._read_log()
        self._note_lost_leases()

    @rule(timers=st.sampled_from(["", "a", "q", "f", "aqf", "sd"]), most=st.integers(1, 30))
    def fire(self, timers: str, most: int) -> None:
        """Retries and starts are due by themselves; timeouts of some kinds are made due."""
        self.fire_now(timers, most)

    def fire_now(self, timers: str, most: int) -> None:
        time.sleep(0.003)
        members: list[bytes] = self.run(send(self.client, "ZRANGE", self.partition.keys.timers, 0, -1))
        for member in members:
            if member[:1].decode() in timers:
                self.run(send(self.client, "ZADD", self.partition.keys.timers, 1, member))
        fired = self.run(
            fire(self.client, self.partition, lease_ms=600_000, tick_gap_ms=10**9, most=most)
        ).fired
        self._read_log()
        for what, flow, task in fired:
            if what in ("retry", "start"):
                self.oracle.fired(what, flow, task)
        self._note_lost_leases()

    @precondition(lambda self: self.registered)
    @rule(data=st.data(), verb=st.sampled_from(expectations.VERBS), sends=st.integers(1, 2))
    def operate(self, data: st.DataObject, verb: str, sends: int) -> None:
        start = data.draw(st.sampled_from(self.registered))
        flow = self.oracle.flows[start.flow]
        seqs = st.lists(st.integers(1, len(flow.tasks)), min_size=1, max_size=3, unique=True)
        chosen: Any = data.draw(seqs)
        scope: Any = ""
        if verb == "rerun":
            chosen = data.draw(st.one_of(st.just(chosen), st.sampled_from(["failed", "all"])))
            scope = data.draw(st.sampled_from(["", "only", "dependents"]))
        result = b""
        if verb == "ignore" and len(chosen) == 1 and data.draw(st.booleans()):
            result = b'{"stands in at":%d}' % flow.version
        with_message = verb == "rerun" and isinstance(chosen, list) and data.draw(st.booleans())
        with_bodies = verb == "rerun" and not with_message and data.draw(st.booleans())
        self._ask(expectations.Asked(verb, chosen, scope, with_message, result, with_bodies), flow, sends)

    def _ask(self, asked: expectations.Asked, flow: FlowState, sends: int) -> None:
        """Asks for an operation, so many times; it is done, or refused, as it must be."""
        retrying = self.oracle.away(flow)
        expected = expectations.of(asked, flow, retrying)
        before, number = flow.version, next(self.numbers)
        needed = expectations.needed(asked, flow, retrying) if expected is not None else set[int]()
        bodies = {seq: expectations.other_body(flow, seq) for seq in expected or () if asked.with_bodies}
        if needed:
            wrong = {seq: (flow.task(seq).attempt + 1, b"=0") for seq in needed}
            for results in ({}, wrong):
                done = self._operate(asked, flow, number, results=results)
                assert isinstance(done, NeedsResultsError), f"{asked} was done without {needed}: {done}"
                assert set(done.tasks) == needed
        for _ in range(sends):
            done = self._operate(asked, flow, number, results=results_of(flow, sorted(needed)))
            if expected is None:
                assert isinstance(done, RefusedError | NotUnderWayError), f"{asked} was done: {done}"
            else:
                assert isinstance(done, Operated), f"{asked} should be done for {expected}: {done}"
        self._read_log()
        if expected is None:
            assert flow.version == before
        else:
            assert self._is_done(asked, flow, expected, before)
            assert all(body is None or flow.task(seq).planned == body for seq, body in bodies.items())
        self._note_lost_leases()

    def _is_done(
        self, asked: expectations.Asked, flow: FlowState, tasks: set[int], version_before: int
    ) -> bool:
        return expectations.is_done(asked, flow, tasks, version_before)

    @precondition(lambda self: any(flow.version > 1 for flow in self.oracle.flows.values()))
    @rule(data=st.data())
    def operate_on_what_has_moved_on(self, data: st.DataObject) -> None:
        """What an operator saw a version ago is refused, whatever is asked for."""
        flows = [flow for flow in self.oracle.flows.values() if flow.version > 1 and flow.ended_ms is None]
        if flows:
            flow = data.draw(st.sampled_from(flows))
            asked = expectations.Asked("cancel", [], "", False)
            assert isinstance(self._operate(asked, flow, next(self.numbers), flow.version - 1), MovedError)

    def _operate(
        self,
        asked: expectations.Asked,
        flow: FlowState,
        number: int,
        version: int | None = None,
        results: Results | None = None,
    ) -> Operated | Exception:
        """One sending; the same number makes it the same operation sent again."""
        restored = (
            Restored.of(flow) if flow.ended_ms is not None and asked.verb in ("rerun", "unignore") else None
        )
        where = (self.client, self.partition, flow.flow)
        given: dict[str, Any] = {"by": "eve", "version": version}
        match asked.verb:
            case "rerun":
                given |= {"selection": asked.tasks, "scope": asked.scope, "restored": restored}
                given["messages"] = self._messages(asked, flow, restored)
                given["keys"] = self._keys(flow, given["messages"])
                given["bodies"] = self._bodies(asked, flow, restored)
                given["results"] = results
            case "unignore":
                given |= {"tasks": asked.tasks, "restored": restored, "results": results}
            case "ignore":
                given |= {"tasks": asked.tasks, "result": asked.result}
            case "prioritise":
                given["priority"] = expectations.PRIORITY
            case _:
                pass
        with patch(
            "flower_engine.transitions.operator_transitions.uuid.uuid4", return_value=uuid.UUID(int=number)
        ):
            try:
                return self.run(getattr(operator_transitions, asked.verb)(*where, **given))
            except (RefusedError, NotUnderWayError) as error:
                return error

    def _bodies(
        self, asked: expectations.Asked, flow: FlowState, restored: Restored | None
    ) -> dict[int, Body]:
        """Those of all tasks in another version."""
        seqs = range(1, len(flow.tasks) + 1) if asked.with_bodies else ()
        return {
            seq: Body.of(flow.workflow, flow.task(seq).planned, message, expectations.other_body(flow, seq))
            for seq, message in self._read_messages(flow, restored, seqs).items()
        }

    def _read_messages(
        self, flow: FlowState, restored: Restored | None, tasks: Sequence[int]
    ) -> Mapping[int, bytes]:
        if not tasks or restored:
            return restored.messages(tasks) if restored else {}
        where = (self.client, self.partition, flow.flow)
        return self.run(operator_transitions.read_messages(*where, tasks)) or {}

    def _messages(
        self, asked: expectations.Asked, flow: FlowState, restored: Restored | None
    ) -> dict[int, tuple[bytes, bytes]]:
        """Their new messages."""
        if not asked.with_message:
            return {}
        messages: dict[int, tuple[bytes, bytes]] = {}
        for task, message in self._read_messages(flow, restored, asked.tasks).items():
            messages[task] = (message, with_parameters(message, expectations.new_parameters(flow, task)))
        return messages

    def _keys(self, flow: FlowState, messages: Mapping[int, tuple[bytes, bytes]]) -> dict[int, TaskKeys]:
        """The keys that follow from them."""
        keying = HEAVY if flow.workflow == "heavy" else Keying()
        new = {task: decode_message(message) for task, (_, message) in messages.items()}
        return {task: keying.keys_of(message.program, message.parameters) for task, message in new.items()}

    def _note_lost_leases(self) -> None:
        """Claims whose leases have ended; their workers do not know it yet."""
        for worker in self.workers:
            for claim in list(worker.held):
                task = self.oracle.flows[claim.flow].task(claim.task)
                if task.status is not Status.RUNNING or task.lease != claim.lease.decode():
                    worker.held.remove(claim)
                    worker.lapsed.append(claim)

    def _lapse(self, queue: str, most: int) -> Any:
        return self.run(
            lapse(self.client, self.partition, queues=[queue], lease_ms=0, tick_gap_ms=10**9,
                  max_lost=MAX_LOST, most=most)
        )  # fmt: skip

    def _in_line(self) -> set[str]:
        """The flows that wait for a place."""
        if not (self.limits or self.had_limits):
            return set()
        with self.blocking.pipeline(transaction=False) as pipe:  # pyright: ignore[reportUnknownMemberType]
            for workflow in {plan.workflow for plan in self.plans}:
                pipe.execute_command("ZRANGE", self.partition.keys.new(workflow), 0, -1)  # pyright: ignore[reportUnknownMemberType]
            return {flow.decode() for flows in pipe.execute() for flow in flows}

    @rule(
        controls=st.lists(st.sampled_from(CONTROLS), max_size=4, unique_by=lambda row: (row.scope, row.name)),
        sends=st.integers(1, 2),
    )
    def set_control(self, controls: list[FlowControl], sends: int) -> None:
        """Any limits and pauses from now on, and no others."""
        self.set_control_now(controls, sends)

    def set_control_now(self, controls: Sequence[FlowControl], sends: int) -> None:
        for _ in range(sends):
            held = self.run(read_held(self.client, self.partition))
            self.run(set_control(self.client, self.partition, partitions=1, held=held, controls=controls))
        self.limits = {name: value for row in controls for name, value in values_of(row).items()}
        self.had_limits = True
        self._read_log()

    @rule()
    def work_off(self) -> None:
        """The first worker finishes all that it can, so that flows end."""
        worker = self.workers[0]
        for _ in range(100):
            outcomes = [_outcome(claim, OutcomeKind.FINISHED) for claim in worker.held]
            (reply,) = self._call(worker, outcomes, 20, 1)
            assert reply.words == ["ok"] * len(outcomes)
            worker.held = []
            self._check_claims(worker, 20, reply)
            if not worker.held and not reply.more:
                return
        raise AssertionError("there is always more to do")

    def _call(self, worker: Worker, outcomes: list[Outcome], wanted: int, sends: int) -> list[Exchange]:
        worker.number += 1
        send: Callable[[], Awaitable[Exchange]] = lambda: finish_and_claim(  # noqa: E731
            self.client, self.partition, worker.name, worker.number,
            answered=worker.number - 1, outcomes=outcomes, wanted=wanted, service_args=worker.service.args(),
            version=VERSIONS[self.workers.index(worker)],
        )  # fmt: skip
        return [self.run(send()) for _ in range(sends)]

    def _check_claims(self, worker: Worker, wanted: int, reply: Exchange) -> None:
        started = self._read_log()
        claimed = [(claim.flow, claim.task) for claim in reply.claims]
        assert claimed == [(event.flow, event.task) for event in started]
        if not self.in_steps:
            # What the outcomes freed was free before the claims: count what runs without the claims.
            running: Counter[str] = Counter()
            new = set(claimed)
            for flow in self.oracle.flows.values():
                for task in flow.tasks:
                    if task.status is Status.RUNNING and (flow.flow, task.planned.seq) not in new:
                        names, units = limits_of_lane(lane_of(flow.workflow, task.planned))
                        running.update({name: units_of(name, units) for name in names})
            service = worker.service
            self.oracle.check_claim(
                worker.name, claimed, wanted, service.queues, service.programs, self.limits, running
            )
        for claim, event in zip(reply.claims, started, strict=True):
            assert (claim.lease.decode(), claim.attempt, event.worker) == (
                event.lease,
                event.attempt,
                worker.name,
            )
            message = msgspec.json.decode(claim.message)
            assert message["program"] in worker.service.programs
            task = self.oracle.flows[claim.flow].task(claim.task)
            assert message.get("round", 0) == task.round
            assert message.get("given") == (task.given and msgspec.json.decode(task.given))
        assert reply.results == {
            (claim.flow, seq): payload
            for claim in reply.claims
            for seq, payload in self._inputs(claim).items()
        }
        worker.held += reply.claims

    def _inputs(self, claim: Claim) -> dict[int, bytes]:
        """What the claimed task reads, as its flow's events have it."""
        flow = self.oracle.flows[claim.flow]
        reads = reads_of(flow.task(claim.task).planned)
        return {seq: payload_of(flow.task(seq)) or NOTHING for seq in reads}

    @precondition(lambda self: any(worker.held or worker.lapsed for worker in self.workers))
    @rule()
    def read_inputs(self) -> None:
        """Who holds a lease may read, who lost it may not."""
        for worker in self.workers:
            for claim in [*worker.held, *worker.lapsed]:
                inputs = self._inputs(claim)
                found = self.run(read_inputs(self.client, self.partition, claim, list(inputs)))
                assert not inputs or found == (inputs if claim in worker.held else None)

    @precondition(lambda self: self.registered)
    @rule(data=st.data())
    def fork_a_flow(self, data: st.DataObject) -> None:
        """What is final, and not behind a task, is taken over; results that its tasks read are kept."""
        flow = self.oracle.flows[data.draw(st.sampled_from(self.registered)).flow]
        chosen = data.draw(st.lists(st.integers(1, len(flow.tasks)), min_size=1, max_size=2))
        try:
            plan = plan_of_fork(flow, chosen, {}, HEAVY if flow.workflow == "heavy" else Keying())
        except RefusedError:
            assert flow.ruled  # which pass over all that would run
            return
        start = Start(make_flow_id(next(self.numbers), 0, 7), plan)
        assert [each.word for each in self._register(start)] == ["ok"]
        self.registered.append(start)
        assert not self._read_log()

    @invariant()
    def redis_equals_the_fold_of_its_log(self) -> None:
        live = self.run(read_live_state(self.client, self.partition))
        assert differences(self.oracle.flows, live) == []
        for name, held in live.flows.items():
            if held.kept:
                kept = [seq for seq, task in enumerate(held.tasks, start=1) if task.kept]
                found = self.run(read_kept_values(self.client, self.partition, name, kept))
                assert found is not None
                assert list(found.payloads) == kept
                assert list(value_differences(self.oracle.flows[name], found.payloads)) == []


class DataTransitions(Transitions):
    """The same with flows that have data alone, which get further, and of which operators do more."""

    plans = (_pipe(), _mesh(), _data_fork()) * 4

    @precondition(lambda self: self.registered)
    @rule(data=st.data(), verb=st.sampled_from(("rerun", "rerun", "ignore", "unignore")))
    def reopen_or_pass_over(self, data: st.DataObject, verb: str) -> None:
        """One task, which is possible more often than several at once."""
        flow = self.oracle.flows[data.draw(st.sampled_from(self.registered)).flow]
        suits = {
            "rerun": (Status.FINISH, Status.IGNORE, Status.SUSPEND),
            "ignore": (Status.WAIT, Status.SUSPEND),
            "unignore": (Status.IGNORE,),
        }
        seqs = [task.planned.seq for task in flow.tasks if task.status in suits[verb]]
        if seqs:
            chosen = [data.draw(st.sampled_from(seqs))]
            scope = data.draw(st.sampled_from(["", "", "only"])) if verb == "rerun" else ""
            with_bodies = verb == "rerun" and data.draw(st.booleans())
            with_message = verb == "rerun" and not with_bodies and data.draw(st.booleans())
            result = b"[%d]" % flow.version if verb == "ignore" and data.draw(st.booleans()) else b""
            self._ask(expectations.Asked(verb, chosen, scope, with_message, result, with_bodies), flow, 1)

    @rule(who=st.integers(0, 1))
    def suspend_all(self, who: int) -> None:
        """All that a worker holds fails for good."""
        worker = self.workers[who]
        outcomes = [_outcome(claim, OutcomeKind.SUSPENDED) for claim in worker.held]
        (reply,) = self._call(worker, outcomes, 0, 1)
        worker.held = []
        self._check_claims(worker, 0, reply)

    @rule(who=st.integers(0, 1), wanted=st.integers(1, 4))
    def finish_all(self, who: int, wanted: int) -> None:
        """A worker finishes what it holds, and takes more."""
        worker = self.workers[who]
        outcomes = [_outcome(claim, OutcomeKind.FINISHED) for claim in worker.held]
        (reply,) = self._call(worker, outcomes, wanted, 1)
        worker.held = []
        self._check_claims(worker, wanted, reply)


class RuledTransitions(DataTransitions):
    """The same with flows that have rules alone."""

    plans = (_branches(), _race(), _given_up()) * 4

    @rule(timers=st.sampled_from(["g", "gq"]))
    def give_up_what_is_held(self, timers: str) -> None:
        """Nobody decided in time."""
        self.fire_now(timers, 30)

    @rule(who=st.integers(0, 1), data=st.data())
    def fail_some(self, who: int, data: st.DataObject) -> None:
        """Some of what a worker holds fails for good, some finishes, and it takes more."""
        worker = self.workers[who]
        kinds = st.sampled_from([OutcomeKind.SUSPENDED, OutcomeKind.FINISHED])
        outcomes = [_outcome(claim, data.draw(kinds)) for claim in worker.held]
        (reply,) = self._call(worker, outcomes, 5, 1)
        worker.held = []
        self._check_claims(worker, 5, reply)


class CleanedUpTransitions(RuledTransitions):
    """The same with flows that clean up when they are cancelled, or take too long."""

    plans = (_cleaned_up(), _kept_clean()) * 6

    @precondition(lambda self: any(flow.is_ending or flow.ending for flow in self.oracle.flows.values()))
    @rule(data=st.data(), verb=st.sampled_from(("cancel", "rerun", "rerun", "unignore", "pause", "resume")))
    def end_or_go_on(self, data: st.DataObject, verb: str) -> None:
        """What is ending, or was cleaned up, ends at once, or is taken up again."""
        flows = [flow.flow for flow in self.oracle.flows.values() if flow.ending]
        flow = self.oracle.flows[data.draw(st.sampled_from(flows))]
        chosen: Any = "failed" if verb == "rerun" else [data.draw(st.integers(1, len(flow.tasks)))]
        self._ask(expectations.Asked(verb, chosen, "", False), flow, data.draw(st.integers(1, 2)))

    @rule(control=st.sampled_from(FLOW_LIMITS))
    def limit_flows(self, control: FlowControl) -> None:
        """What is ending goes on without a place, too."""
        self.set_control_now([control], 1)

    @rule(data=st.data(), wanted=st.integers(1, 20), is_late=st.booleans())
    def cut_off(self, data: st.DataObject, wanted: int, is_late: bool) -> None:
        """A worker has begun, and a flow is cancelled, or has taken too long."""
        self.finish_all(0, wanted)
        flows = {claim.flow for worker in self.workers for claim in worker.held}
        if is_late:
            self.fire_now("f", 30)
        elif flows:
            flow = self.oracle.flows[data.draw(st.sampled_from(sorted(flows)))]
            self._ask(expectations.Asked("cancel", [], "", False), flow, 1)


def run_machine(url: str, *, examples: int, base: type[Transitions] = Transitions, **attributes: Any) -> None:
    machine = type("Machine", (base,), {"url": url, **attributes})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=fuzzing.examples(examples),
            stateful_step_count=30,
            phases=(Phase.generate,),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_transitions_follow_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=150)


def test_a_worker_in_place_of_another_has_its_version_and_what_that_refused_is_not_for_it(
    redis_url: str,
) -> None:
    """An example that random ones came upon: the oracle took the new worker for one of no version."""
    machine = type("Machine", (Transitions,), {"url": redis_url})()
    try:
        machine.start()
        machine.hand_back(who=0, times=1)
        machine.register_flows(numbers=[5, 6], again=False, delay_ms=0)
        machine.finish_and_claim_now(0, [], wanted=4)
        held = machine.workers[0].held
        kinds = (OutcomeKind.UNFIT, OutcomeKind.RETURNED, OutcomeKind.UNFIT)
        outcomes = [_outcome(claim, kind) for claim, kind in zip(held, kinds, strict=False)]
        machine.finish_and_claim_now(0, outcomes, wanted=20)
        machine.finish_and_claim_now(1, [], wanted=20)
        machine.redis_equals_the_fold_of_its_log()
        taken = [(claim.flow, claim.task) for claim in machine.workers[1].held]
        assert taken == [(outcomes[at].claim.flow, outcomes[at].claim.task) for at in (0, 2)]
    finally:
        machine.teardown()


def test_what_flows_keep_of_results_follows_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=100, base=DataTransitions)


def test_rules_follow_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=150, base=RuledTransitions)


def test_cleanup_follows_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=150, base=CleanedUpTransitions)


def test_the_invariants_hold_while_dependents_are_released_in_steps(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As very wide fan-outs are: here one dependent a call, so that all else happens in the middle of it."""
    monkeypatch.setattr(register_transition, "WIDE_ROOTS", 1)
    for module in (worker_transitions, operator_transitions):
        for script in [value for value in vars(module).values() if isinstance(value, Script)]:
            in_small = Script(script.name, RELEASE_STEP="1", WIDE_BYTES="1", RULE_STEP="1", WIDE_LINKS="1")
            # This order: what is put back is worked out from the text, if nobody has asked for it before.
            monkeypatch.setattr(script, "sha", in_small.sha)
            monkeypatch.setattr(script, "text", in_small.text)
    assert b"#dependents > 1 " in worker_transitions._finish_and_claim.text  # pyright: ignore[reportPrivateUsage]
    run_machine(redis_url, examples=100, in_steps=True, plans=_plans())
    run_machine(redis_url, examples=100, base=RuledTransitions, in_steps=True)
    run_machine(redis_url, examples=50, base=CleanedUpTransitions, in_steps=True)
