"""The state machine of the transitions, with flows that wait for the world: signals and answers come before,
during and after the wait, doubled, and by callers that never hear the reply."""

import uuid
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flower_engine.errors import NotUnderWayError, RefusedError
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_programs import is_wait, takes_signal
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.operator_transitions import Operated
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.wait_transitions import Sent, signal
from stateful import expectations
from stateful.machines import Transitions, run_machine

pytestmark = pytest.mark.hypothesis

Program = tuple[str, dict[str, Any]]
SLEEP: Program = ("@sleep", {"seconds": 0.001})
LONG_SLEEP: Program = ("@sleep", {"seconds": 3600})
PAID: Program = ("@event", {"name": "paid"})
PAID_1: Program = ("@event", {"name": "paid", "key": "1", "timeout_seconds": 600})
PAID_2: Program = (
    "@event",
    {"name": "paid", "key": "2", "timeout_seconds": 600, "on_timeout": "default", "default": 0},
)
ASKED: Program = ("@approval", {"timeout_seconds": 600})
ASKED_TWO: Program = (
    "@approval",
    {"of": 2, "timeout_seconds": 600, "on_timeout": "default", "default": {"approved": False}},
)
A: Program = ("A", {})
B: Program = ("B", {})


def _plan(name: str, *tasks: tuple[Program, tuple[int, ...]], timeout_ms: int | None = None) -> FlowPlan:
    planned = [
        PlannedTask(seq=seq, task_seq=seq, program=program, parameters=parameters, depends_on=depends_on)
        for seq, ((program, parameters), depends_on) in enumerate(tasks, start=1)
    ]
    return FlowPlan(name, planned, timeout_ms=timeout_ms)


def _reading() -> FlowPlan:
    """What a signal says, and what was approved, is read by tasks that workers run."""
    reads = {"paid": 1, "asked": 2}
    tasks = [
        PlannedTask(seq=1, task_seq=1, program="@event", parameters={"name": "paid"}),
        PlannedTask(
            seq=2,
            task_seq=2,
            program="@approval",
            parameters={"shows": {"$from": "paid"}},
            depends_on=(1,),
            reads={"paid": 1},
            refs=True,
        ),
        PlannedTask(
            seq=3,
            task_seq=3,
            program="B",
            parameters={name: {"$from": name} for name in reads},
            depends_on=(1, 2),
            reads=reads,
            refs=True,
        ),
    ]
    return FlowPlan("reading", tasks)


PLANS = (
    _plan("line", (A, ()), (PAID, (1,)), (B, (2,))),
    _plan("two:roots", (SLEEP, ()), (ASKED, ()), (B, (1, 2))),
    _plan("diamond", (PAID, ()), (PAID_1, (1,)), (PAID_2, (1,)), (A, (2, 3))),
    _plan("fragile", (ASKED_TWO, ()), (A, ()), (PAID, (1, 2)), (LONG_SLEEP, (3,)), timeout_ms=600_000),
    _plan("crowd", *[(PAID, ())] * 3, (PAID_1, ()), (PAID_2, ())),
    _reading(),
)


class WaitTransitions(Transitions):
    """Flows that wait, and a world in which things happen."""

    plans = PLANS * 2

    @precondition(lambda self: self.registered)
    @rule(
        data=st.data(),
        key=st.sampled_from(["", "1", "2"]),
        number=st.integers(1, 40),
        sends=st.integers(1, 2),
    )
    def send_a_signal(self, data: st.DataObject, key: str, number: int, sends: int) -> None:
        flow = self.oracle.flows[data.draw(st.sampled_from(self.registered)).flow]
        sent = Sent(name="paid", key=key, id=f"s{number}", by="shop", payload=b"[%d]" % flow.version)
        expected = self._expected_word(flow, key, sent.id, "keep")
        for time in range(sends):
            (done,) = self.run(signal(self.client, self.partition, sent, [flow.flow]))
            assert done.word in ("known", "absent") if time else (done.word, done.task) == expected
        self._read_log()

    @precondition(lambda self: self.registered)
    @rule(data=st.data(), key=st.sampled_from(["", "1"]), number=st.integers(1, 40), is_first=st.booleans())
    def send_to_many(self, data: st.DataObject, key: str, number: int, is_first: bool) -> None:
        """By name and key alone: to all flows in which a task awaits it, or to the first of them."""
        starts = data.draw(st.lists(st.sampled_from(self.registered), min_size=1, max_size=4, unique=True))
        flows = [self.oracle.flows[start.flow] for start in starts]
        mode = "first" if is_first else "each"
        identity = f"first {next(self.numbers)}" if is_first else f"s{number}"
        sent = Sent(name="paid", key=key, id=identity, by="shop", payload=b"7")
        expected = [self._expected_word(flow, key, identity, mode) for flow in flows]
        if is_first:
            taken = next((index for index, (word, _) in enumerate(expected) if word == "taken"), len(flows))
            expected[taken + 1 :] = [("other", 0)] * len(expected[taken + 1 :])
        names = [flow.flow for flow in flows]
        done = self.run(signal(self.client, self.partition, sent, names, mode))
        assert [(one.word, one.task) for one in done] == expected
        again = self.run(signal(self.client, self.partition, sent, names, mode))
        assert "taken" not in [one.word for one in again]
        self._read_log()

    def _expected_word(self, flow: FlowState, key: str, identity: str, mode: str) -> tuple[str, int]:
        if flow.ended_ms is not None:
            return "absent", 0
        if identity in flow.signal_ids:
            return "known", 0
        awaiting = [task.planned for task in flow.tasks if task.is_awaiting]
        for wanted in dict.fromkeys((key, "")):
            for task in awaiting:
                if takes_signal(task, "paid", key) and task.parameters.get("key", "") == wanted:
                    return "taken", task.seq
        return ("kept" if mode == "keep" else "unawaited"), 0

    @precondition(lambda self: self.registered)
    @rule(
        data=st.data(),
        by=st.sampled_from(["ann", "bob"]),
        is_no=st.booleans(),
        attempt=st.sampled_from([None, None, 1, 2]),
        sends=st.integers(1, 2),
    )
    def give_an_answer(
        self, data: st.DataObject, by: str, is_no: bool, attempt: int | None, sends: int
    ) -> None:
        flow = self.oracle.flows[data.draw(st.sampled_from(self.registered)).flow]
        asked = [task.planned.seq for task in flow.tasks if task.planned.program == "@approval"]
        seq = data.draw(st.sampled_from(asked or [1]))
        expected = self._expected_end(flow, seq, by, is_no, attempt)
        operation = uuid.UUID(int=next(self.numbers)).hex
        for _ in range(sends):
            given: dict[str, Any] = {"is_no": is_no, "attempt": attempt, "operation": operation}
            done = self._answer(flow.flow, by=by, task=seq, answer=b"{}", **given)
            if expected is None:
                assert isinstance(done, RefusedError | NotUnderWayError), f"{seq} of {flow}: {done}"
            else:
                assert isinstance(done, Operated), f"{seq} of {flow}: {done}"
        self._read_log()
        if expected is not None:
            assert (self.oracle.flows[flow.flow].task(seq).status is Status.FINISH) == expected

    @precondition(lambda self: self.registered)
    @rule(data=st.data(), verb=st.sampled_from(("rerun", "ignore", "ignore")))
    def operate_on_what_awaits(self, data: st.DataObject, verb: str) -> None:
        """One task, which is possible more often than several at once."""
        awaiting = [
            (flow, task.planned.seq)
            for flow in self.oracle.flows.values()
            for task in flow.tasks
            if task.is_awaiting
        ]
        if awaiting:
            flow, seq = data.draw(st.sampled_from(awaiting))
            with_message = verb == "rerun" and data.draw(st.booleans())
            result = b"[%d]" % flow.version if verb == "ignore" and data.draw(st.booleans()) else b""
            self.ask_now(expectations.Asked(verb, [seq], "", with_message, result), flow, 1)

    def _expected_end(
        self, flow: FlowState, seq: int, by: str, is_no: bool, attempt: int | None
    ) -> bool | None:
        """Whether the answer ends the task; None: it is refused."""
        task = flow.task(seq)
        votes = task.votes or ()
        if flow.ended_ms is not None or task.planned.program != "@approval" or not task.is_awaiting:
            return None
        if by in votes or attempt not in (None, task.attempt):
            return None
        return is_no or len(votes) + 1 >= task.planned.parameters.get("of", 1)

    def _answer(self, flow: str, **given: Any) -> Operated | Exception:
        try:
            return self.run(operator_transitions.answer(self.client, self.partition, flow, **given))
        except (RefusedError, NotUnderWayError) as error:
            return error

    def _is_done(
        self, asked: expectations.Asked, flow: FlowState, tasks: set[int], version_before: int
    ) -> bool:
        """What an operation lets go on may await something at once, and have it."""
        if asked.verb in ("cancel", "pause"):
            return super()._is_done(asked, flow, tasks, version_before)
        if asked.verb == "rerun":
            stands = {Status.WAIT}
            return flow.version > version_before and all(
                flow.task(seq).status in (stands | {Status.FINISH} if is_wait(task.program) else stands)
                for seq in tasks
                for task in (flow.task(seq).planned,)
            )
        return flow.version > version_before


def test_tasks_that_wait_for_the_world_follow_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=75, base=WaitTransitions)
