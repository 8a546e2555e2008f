"""The state machine of the transitions, with flows that decide: outcomes come once, doubled, late, and of
conditions that cannot be decided."""

from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.transitions.decision_transitions import Undecided, decide
from flower_engine.transitions.register_transition import FlowPlan
from stateful import expectations
from stateful.machines import RuledTransitions, run_machine
from stateful.plans import RETRY

pytestmark = pytest.mark.hypothesis

DECISION: dict[str, Any] = {"program": "@when", "parameters": {"condition": True}}


def _plan(name: str, *tasks: dict[str, Any], timeout_ms: int | None = None) -> FlowPlan:
    """``when``: whose branch a task is; it waits for that, too."""
    planned: list[PlannedTask] = []
    for seq, given in enumerate(tasks, start=1):
        reads: dict[int, bool] = given.pop("reads", {})
        of = given["when"][:1] if "when" in given else ()
        body: dict[str, Any] = {
            "program": "B",
            "parameters": {
                f"p{other}": {"$from": other} if is_needed else {"$from": other, "default": 0}
                for other, is_needed in reads.items()
            },
            "reads": {str(other): other for other in reads},
            "refs": bool(reads),
            "depends_on": tuple(sorted({*reads, *given.pop("after", ()), *of})),
        }
        planned.append(PlannedTask(seq=seq, task_seq=seq, **{**body, **given}))
    return FlowPlan(name, planned, timeout_ms=timeout_ms)


PLANS = (
    _plan(
        "join",
        {},
        {**DECISION, "after": (1,)},
        {"when": (2, True)},
        {"when": (2, False), "program": "A"},
        {"after": (3, 4)},
        timeout_ms=600_000,
    ),
    _plan(
        "nested",
        {**DECISION},
        {**DECISION, "when": (1, True), "on_failure": "give_up"},
        {"when": (2, True), "on_failure": "hold:60"},
        {"when": (2, False), "on_failure": "give_up"},
        {"when": (1, False)},
        {"reads": {3: False, 4: False, 5: False}, "rule": "settled"},
    ),
    _plan(
        "ruled branches",
        {"on_failure": "give_up"},
        {**DECISION, "on_failure": "hold:60"},
        {},
        {"when": (2, True), "reads": {1: False, 3: False}, "rule": "any", "retry": RETRY},
        {"when": (2, False), "after": (1,), "rule": "failed"},
        {"when": (2, False), "reads": {4: False}, "after": (3,), "rule": "finished"},
        {"reads": {2: False}, "after": (5, 6)},
    ),
)


class DecidedTransitions(RuledTransitions):
    """Flows that decide, and whoever comes first."""

    plans = PLANS * 4

    def _undecided(self) -> list[tuple[str, int]]:
        return [
            (flow.flow, task.planned.seq)
            for flow in self.oracle.flows.values()
            for task in flow.tasks
            if task.is_awaiting
        ]

    def _attempt(self, one: Undecided) -> int:
        name, seq = one.member.decode().split(":")
        return self.oracle.flows[name].task(int(seq)).attempt

    @precondition(lambda self: self._undecided())
    @rule(data=st.data(), sends=st.integers(1, 2))
    def decide_some(self, data: st.DataObject, sends: int) -> None:
        """The first counts, and whatever is sent after it, or for another attempt, changes nothing."""
        made: list[tuple[Undecided, Decided]] = []
        for name, seq in self._undecided():
            says = data.draw(st.sampled_from([True, True, False, False, None, "late"]))
            attempt = self.oracle.flows[name].task(seq).attempt
            member = f"{name}:{seq}".encode()
            if says == "late":
                made.append((Undecided(member, attempt - 1, b"", {}), said(True)))
                continue
            made.append((Undecided(member, attempt, b"", {}), said(says)))
        expected = ["ok" if one.attempt == self._attempt(one) else "stale" for one, _ in made]
        for time in range(sends):
            words = self.run(decide(self.client, self.partition, "w", made))
            assert words == (["stale"] * len(made) if time else expected)
        self._read_log()

    @precondition(lambda self: self._undecided())
    @rule(data=st.data(), verb=st.sampled_from(("rerun", "ignore")))
    def operate_on_a_decision(self, data: st.DataObject, verb: str) -> None:
        name, seq = data.draw(st.sampled_from(self._undecided()))
        self.ask_now(expectations.Asked(verb, [seq], "", False), self.oracle.flows[name], 1)


def said(says: Any) -> Decided:
    if says is None:
        return Decided(None, b'{"type":"ConditionError","message":"3 < \\"a\\" does not compare"}')
    return Decided(says, msgspec.json.encode({"is": says, "values": {}}))


def test_flows_that_decide_follow_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=40, base=DecidedTransitions)
