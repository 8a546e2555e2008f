"""The state machines of the transitions: what may happen, in any order, with flows of several kinds."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)

import fuzzing
from flower_engine.errors import MovedError, RefusedError, StoreError
from flower_engine.flows.forks import plan_of_fork
from flower_engine.log.client import send
from flower_engine.model.definitions.definition import Keying
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.ids import make_flow_id
from flower_engine.transitions.register_transition import Start
from flower_engine.transitions.worker_transitions import Outcome, Reported, hand_back, heartbeat, read_inputs
from stateful import expectations
from stateful.machine_calls import KINDS, VERSIONS, outcome_of
from stateful.operating_machine import OperatingMachine
from stateful.plans import (
    CONTROLS,
    FLOW_LIMITS,
    HEAVY,
    QUEUES,
    branches,
    cleaned_up,
    contest,
    data_fork,
    given_up,
    kept_clean,
    mesh,
    pipe,
    race,
)

HOUR_MS = 3_600_000


class Transitions(OperatingMachine):
    """Registrations, two workers and a watcher, in any order."""

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

    @rule(data=st.data(), who=st.integers(0, 1), wanted=st.integers(0, 20), sends=st.integers(1, 3))
    def finish_and_claim(self, data: st.DataObject, who: int, wanted: int, sends: int) -> None:
        outcomes = [
            outcome_of(claim, data.draw(st.sampled_from(KINDS)), who)
            for claim in self.workers[who].held
            if data.draw(st.booleans())
        ]
        self.finish_and_claim_now(who, outcomes, wanted, sends)

    def finish_and_claim_now(self, who: int, outcomes: list[Outcome], wanted: int, sends: int = 1) -> None:
        worker = self.workers[who]
        refusing = [(one.claim.flow, one.claim.task) for one in outcomes if one.kind is OutcomeKind.UNFIT]
        refused_by_all = [key for key in refusing if VERSIONS[1 - who] in self.oracle.kept_from.get(key, ())]
        replies = self._call(worker, outcomes, wanted, sends)
        for reply in replies[1:]:  # that there are decisions is true of the moment
            told = msgspec.structs.replace(reply, decisions=replies[0].decisions)
            assert told == replies[0], "a call sent again gives the first reply again"
        done = [outcome.claim for outcome in outcomes]
        worker.held = [claim for claim in worker.held if claim not in done]
        self._check_claims(worker, wanted, replies[0])
        self._check_words(outcomes, replies[0])
        for flow, task in refused_by_all:  # nobody is left who may take it
            if flow in self.oracle.flows:
                assert self.oracle.flows[flow].task(task).status is Status.SUSPEND

    @precondition(lambda self: any(worker.lapsed for worker in self.workers))
    @rule(kind=st.sampled_from(OutcomeKind))
    def hand_in_late_outcomes(self, kind: OutcomeKind) -> None:
        for worker in self.workers:
            late = [outcome_of(claim, kind) for claim in worker.lapsed]
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
            scope = data.draw(st.sampled_from(["", "only", "dependents", "changed"]))
        result = b""
        if verb == "ignore" and len(chosen) == 1 and data.draw(st.booleans()):
            result = b'{"stands in at":%d}' % flow.version
        with_message = verb == "rerun" and isinstance(chosen, list) and data.draw(st.booleans())
        with_bodies = verb == "rerun" and not with_message and data.draw(st.booleans())
        self.ask_now(expectations.Asked(verb, chosen, scope, with_message, result, with_bodies), flow, sends)

    @precondition(lambda self: any(flow.version > 1 for flow in self.oracle.flows.values()))
    @rule(data=st.data())
    def operate_on_what_has_moved_on(self, data: st.DataObject) -> None:
        """What an operator saw a version ago is refused, whatever is asked for."""
        flows = [flow for flow in self.oracle.flows.values() if flow.version > 1 and flow.ended_ms is None]
        if flows:
            flow = data.draw(st.sampled_from(flows))
            asked = expectations.Asked("cancel", [], "", False)
            assert isinstance(self._operate(asked, flow, next(self.numbers), flow.version - 1), MovedError)

    @rule(
        controls=st.lists(st.sampled_from(CONTROLS), max_size=4, unique_by=lambda row: (row.scope, row.name)),
        sends=st.integers(1, 2),
    )
    def set_control(self, controls: list[FlowControl], sends: int) -> None:
        """Any limits and pauses from now on, and no others."""
        self.set_control_now(controls, sends)

    @rule()
    def work_off(self) -> None:
        """The first worker finishes all that it can, so that flows end."""
        worker = self.workers[0]
        tasks = sum(len(flow.tasks) for flow in self.oracle.flows.values())
        for _ in range(100 + 2 * tasks):  # in steps of one task a call that many tasks take
            outcomes = [outcome_of(claim, OutcomeKind.FINISHED) for claim in worker.held]
            (reply,) = self._call(worker, outcomes, 20, 1)
            worker.held = []
            self._check_claims(worker, 20, reply)
            self._check_words(outcomes, reply)
            if not worker.held and not reply.more:
                return
        raise AssertionError("there is always more to do")

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


class DataTransitions(Transitions):
    """The same with flows that have data alone, which get further, and of which operators do more."""

    plans = (pipe(), mesh(), data_fork()) * 4

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
            self.ask_now(expectations.Asked(verb, chosen, scope, with_message, result, with_bodies), flow, 1)

    @rule(who=st.integers(0, 1))
    def suspend_all(self, who: int) -> None:
        """All that a worker holds fails for good."""
        worker = self.workers[who]
        outcomes = [outcome_of(claim, OutcomeKind.SUSPENDED) for claim in worker.held]
        (reply,) = self._call(worker, outcomes, 0, 1)
        worker.held = []
        self._check_claims(worker, 0, reply)

    @rule(who=st.integers(0, 1), wanted=st.integers(1, 4))
    def finish_all(self, who: int, wanted: int) -> None:
        """A worker finishes what it holds, and takes more."""
        worker = self.workers[who]
        outcomes = [outcome_of(claim, OutcomeKind.FINISHED) for claim in worker.held]
        (reply,) = self._call(worker, outcomes, wanted, 1)
        worker.held = []
        self._check_claims(worker, wanted, reply)


class RuledTransitions(DataTransitions):
    """The same with flows that have rules alone."""

    plans = (branches(), race(), contest(), given_up()) * 3

    @rule(timers=st.sampled_from(["g", "gq"]))
    def give_up_what_is_held(self, timers: str) -> None:
        """Nobody decided in time."""
        self.fire_now(timers, 30)

    @rule(who=st.integers(0, 1), data=st.data())
    def fail_some(self, who: int, data: st.DataObject) -> None:
        """Some of what a worker holds fails for good, some finishes, and it takes more."""
        worker = self.workers[who]
        kinds = st.sampled_from([OutcomeKind.SUSPENDED, OutcomeKind.FINISHED])
        outcomes = [outcome_of(claim, data.draw(kinds)) for claim in worker.held]
        (reply,) = self._call(worker, outcomes, 5, 1)
        worker.held = []
        self._check_claims(worker, 5, reply)


class CleanedUpTransitions(RuledTransitions):
    """The same with flows that clean up when they are cancelled, or take too long."""

    plans = (cleaned_up(), kept_clean()) * 6

    @precondition(lambda self: any(flow.is_ending or flow.ending for flow in self.oracle.flows.values()))
    @rule(data=st.data(), verb=st.sampled_from(("cancel", "rerun", "rerun", "unignore", "pause", "resume")))
    def end_or_go_on(self, data: st.DataObject, verb: str) -> None:
        """What is ending, or was cleaned up, ends at once, or is taken up again."""
        flows = [flow.flow for flow in self.oracle.flows.values() if flow.ending]
        flow = self.oracle.flows[data.draw(st.sampled_from(flows))]
        chosen: Any = "failed" if verb == "rerun" else [data.draw(st.integers(1, len(flow.tasks)))]
        self.ask_now(expectations.Asked(verb, chosen, "", False), flow, data.draw(st.integers(1, 2)))

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
            self.ask_now(expectations.Asked("cancel", [], "", False), flow, 1)


def run_machine(
    url: str,
    *,
    examples: int,
    base: type[Transitions] = Transitions,
    **attributes: Any,
) -> None:
    """Tries so many examples, each made from nothing (``fuzzing.each_from_nothing``)."""
    machine = type("Machine", (base,), {"url": url, **attributes})
    with fuzzing.each_from_nothing():
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=fuzzing.examples(examples),
                stateful_step_count=30,
                phases=(Phase.generate,),
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            ),
        )
