"""What the state machines of the transitions ask of these, and what must hold then.

After each step the invariants of ``invariants/invariants.py`` hold between the fold of the log and Redis, and
each claim gave exactly the tasks that the oracle predicts.
"""

import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,  # pyright: ignore[reportUnknownVariableType]
)

from flower_engine.insight.kept_values import read_kept_values
from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import connect_blocking, send
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_log
from flower_engine.model.events.attempt_events import TaskStarted
from flower_engine.model.events.events import AnyEvent, decode_event
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.flow_control.limits import limits_of_lane, units_of
from flower_engine.model.folding.kept_results import NOTHING, payload_of, reads_of
from flower_engine.model.invariants.invariants import differences
from flower_engine.model.invariants.kept_invariants import value_differences
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.transitions.flow_control_transitions import read_held, set_control, values_of
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.register_transition import Start, register
from flower_engine.transitions.watcher_transitions import fire, lapse
from flower_engine.transitions.worker_transitions import (
    Claim,
    Exchange,
    Outcome,
    Service,
    attend,
    finish_and_claim,
)
from stateful.client_at_once import client_at_once, replies_of, result_of
from stateful.compared_flows import ComparedFlows
from stateful.oracle import Oracle
from stateful.plans import QUEUES, plain_plans
from stateful.starts import Starts

T = TypeVar("T")

MAX_LOST = 2

ERROR = b'{"type":"ValueError","message":"no","traceback":"..."}'

KINDS = [*[OutcomeKind.FINISHED] * 6, *OutcomeKind]

VERSIONS = ("aa", "bb")  # of the programs of the two workers


def outcome_of(claim: Claim, kind: OutcomeKind, who: int = 0) -> Outcome:
    """No two attempts have the same result."""
    result = msgspec.json.encode({"of": claim.flow, "task": claim.task, "attempt": claim.attempt})
    stored = msgspec.json.encode(BlobRef(sha256=claim.lease.decode(), bytes=len(result), store="api"))
    results = {OutcomeKind.FINISHED: result, OutcomeKind.STORED: stored, OutcomeKind.RETURNED: b"null"}
    results |= {each: result for each in OutcomeKind if each.is_again}  # given to the next round
    payload = results.get(kind, ERROR)
    number = {OutcomeKind.RETRY: 1, OutcomeKind.CRASHED: MAX_LOST}.get(kind, 0)
    if kind.is_again:
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


class MachineCalls(RuleBasedStateMachine):
    """What the machines ask of the transitions, and what must hold of each reply, and after each step."""

    url = ""
    plans = plain_plans()
    in_steps = False  # every release of several dependents goes in steps, of which the oracle knows none

    def __init__(self) -> None:
        super().__init__()
        self.blocking = connect_blocking(self.url)
        self.client = client_at_once(self.blocking)
        self.oracle = Oracle(MAX_LOST)
        self.starts = Starts()
        self.compared = ComparedFlows()
        self.events: list[AnyEvent] = []
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
        return result_of(call)

    def teardown(self) -> None:
        self.blocking.close()

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
        self.events += events
        return [event for event in events if isinstance(event, TaskStarted)]

    def _check_time(self, event: TaskStarted) -> None:
        """Nothing starts before it is due, whatever the clock does."""
        flow = self.oracle.flows.get(event.flow)
        if flow is not None:
            task = flow.task(event.task)
            due = max(flow.registered.start_ms, task.retry_ms or 0, task.again_ms or 0)
            assert event.at >= due, f"{event} is before {due}"

    def _register(self, *starts: Start) -> list[Any]:
        return self.run(register(self.client, self.partition, starts))

    def set_control_now(self, controls: Sequence[FlowControl], sends: int) -> None:
        for _ in range(sends):
            held = self.run(read_held(self.client, self.partition))
            self.run(set_control(self.client, self.partition, partitions=1, held=held, controls=controls))
        self.limits = {name: value for row in controls for name, value in values_of(row).items()}
        self.had_limits = True
        self._read_log()

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
        self._note_lost_leases()  # a join may have cancelled what others run

    def _check_words(self, outcomes: list[Outcome], reply: Exchange) -> None:
        """They counted, but for those of tasks that the call had cancelled before, as nobody needed them."""
        for outcome, word in zip(outcomes, reply.words, strict=True):
            task = self.oracle.flows[outcome.claim.flow].task(outcome.claim.task)
            assert word == ("stale" if task.ended_as == "u" else "ok")

    def _inputs(self, claim: Claim) -> dict[int, bytes]:
        """What the claimed task reads, as its flow's events have it."""
        flow = self.oracle.flows[claim.flow]
        reads = reads_of(flow.task(claim.task).planned)
        return {seq: payload_of(flow.task(seq)) or NOTHING for seq in reads}

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
        return self._members(self._lines())

    def _lines(self) -> list[str]:
        """The keys of all lines in which flows may wait for one."""
        if not (self.limits or self.had_limits):
            return []
        return [self.partition.keys.new(workflow) for workflow in {plan.workflow for plan in self.plans}]

    def _members(self, keys: Sequence[str]) -> set[str]:
        """What is in any of these sorted sets."""
        replies = replies_of(self.client, *(("ZRANGE", key, 0, -1) for key in keys))
        return {member.decode() for members in replies for member in members}

    @invariant()
    def redis_equals_the_fold_of_its_log(self) -> None:
        live = self.run(read_live_state(self.client, self.partition))
        found = differences(self.oracle.flows, live, compare=self.compared.differences)
        assert not found, found
        for name, held in live.flows.items():
            if held.kept:
                kept = [seq for seq, task in enumerate(held.tasks, start=1) if task.kept]
                values = self.run(read_kept_values(self.client, self.partition, name, kept))
                assert values is not None
                assert list(values.payloads) == kept
                assert list(value_differences(self.oracle.flows[name], values.payloads)) == []
