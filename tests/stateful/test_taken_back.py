"""The state machine of the transitions, whose operators take back what was decided: an ignore, on which joins
had counted, and a decision that led to what failed."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flower_engine.model.folding.flow_state import TaskState
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.decision_transitions import Undecided, decide
from stateful import expectations
from stateful.machine_calls import outcome_of
from stateful.machines import run_machine
from stateful.plans import contest, with_rules
from stateful.test_decisions import PLANS, DecidedTransitions, said

pytestmark = pytest.mark.hypothesis

RIVALS = with_rules(
    "rivals",
    {},
    {"after": (1,)},
    {},
    {"after": (2, 3), "rule": "any:cancel", "program": "A"},
    {"program": "A"},
    {"after": (1, 5), "program": "A"},
    {"after": (4, 5, 6), "rule": "at_least:2:cancel", "on_failure": "give_up"},
    {"after": (7,), "rule": "settled"},
)
"""Joins that cancel what leads to joins that cancel others."""


class TakenBackTransitions(DecidedTransitions):
    """Flows whose joins cancel others, and such that decide."""

    plans = (contest(), RIVALS, *PLANS) * 3

    def _tasks(self, fits: Any) -> list[tuple[str, int]]:
        return [
            (flow.flow, task.planned.seq)
            for flow in self.oracle.flows.values()
            for task in flow.tasks
            if fits(task)
        ]

    def _ask(self, verb: str, one: tuple[str, int], scope: str = "", sends: int = 1) -> None:
        flow = self.oracle.flows[one[0]]
        self.ask_now(expectations.Asked(verb, [one[1]], scope, False), flow, sends)

    @precondition(lambda self: self._tasks(_may_be_passed_over))
    @rule(data=st.data(), steps=st.integers(0, 2), is_taken_back=st.booleans())
    def pass_over(self, data: st.DataObject, steps: int, is_taken_back: bool) -> None:
        """A join may have enough then, and cancels others in the calls that follow."""
        one = data.draw(st.sampled_from(self._tasks(_may_be_passed_over)))
        self._ask("ignore", one)
        for _ in range(steps):
            self.finish_and_claim_now(0, [], wanted=0)
        if is_taken_back and self.oracle.flows[one[0]].task(one[1]).ended_as == "p":
            self._ask("unignore", one, sends=data.draw(st.integers(1, 2)))

    @precondition(lambda self: self._tasks(_is_passed_over))
    @rule(data=st.data(), sends=st.integers(1, 2))
    def take_back(self, data: st.DataObject, sends: int) -> None:
        self._ask("unignore", data.draw(st.sampled_from(self._tasks(_is_passed_over))), sends=sends)

    @precondition(lambda self: self._undecided())
    @rule(says=st.booleans(), who=st.integers(0, 1))
    def decide_and_fail(self, says: bool, who: int) -> None:
        """All decisions come out so, and what they lead to fails, as far as the worker takes it."""
        made = [
            (
                Undecided(f"{name}:{seq}".encode(), self.oracle.flows[name].task(seq).attempt, b"", {}),
                said(says),
            )
            for name, seq in self._undecided()
        ]
        self.run(decide(self.client, self.partition, "w", made))
        self._read_log()
        self.finish_and_claim_now(who, [], wanted=9)
        failing = [
            claim
            for claim in self.workers[who].held
            if self.oracle.flows[claim.flow].task(claim.task).planned.when is not None
        ]
        outcomes = [outcome_of(claim, OutcomeKind.SUSPENDED) for claim in failing]
        self.finish_and_claim_now(who, outcomes, wanted=0)

    @precondition(lambda self: self._tasks(_failed_in_a_branch))
    @rule(data=st.data(), scope=st.sampled_from(["", "", "changed", "only"]))
    def ask_a_decision_again(self, data: st.DataObject, scope: str) -> None:
        name, seq = data.draw(st.sampled_from(self._tasks(_failed_in_a_branch)))
        decision = self.oracle.flows[name].task(seq).planned.when
        assert decision is not None
        self._ask("rerun", (name, decision[0]), scope)


def _may_be_passed_over(task: TaskState) -> bool:
    return task.status in (Status.WAIT, Status.SUSPEND) and not task.has_ended


def _is_passed_over(task: TaskState) -> bool:
    return task.ended_as == "p"


def _failed_in_a_branch(task: TaskState) -> bool:
    return task.status is Status.SUSPEND and task.planned.when is not None


def test_what_operators_take_back_follows_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=30, base=TakenBackTransitions)
