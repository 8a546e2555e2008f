"""A Hypothesis state machine drives the transitions on a real server against the pure model.

After each step the invariants of ``invariants/invariants.py`` hold between the fold of the log and Redis, and
each claim gave exactly the tasks that the oracle predicts; operators' calls are refused exactly where
``expectations.py`` says. Lost replies are calls sent twice; races are the steps in any order.
"""

import pytest

from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.transitions import operator_transitions, register_transition, worker_transitions
from scripts.small_steps import in_small
from stateful.expectations import Asked
from stateful.machine_calls import outcome_of
from stateful.machines import (
    CleanedUpTransitions,
    DataTransitions,
    RuledTransitions,
    Transitions,
    run_machine,
)
from stateful.plans import plain_plans

pytestmark = pytest.mark.hypothesis


def test_transitions_follow_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=75)


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
        outcomes = [outcome_of(claim, kind) for claim, kind in zip(held, kinds, strict=False)]
        machine.finish_and_claim_now(0, outcomes, wanted=20)
        machine.finish_and_claim_now(1, [], wanted=20)
        machine.redis_equals_the_fold_of_its_log()
        taken = [(claim.flow, claim.task) for claim in machine.workers[1].held]
        assert taken == [(outcomes[at].claim.flow, outcomes[at].claim.task) for at in (0, 2)]
    finally:
        machine.teardown()


def test_what_is_told_of_a_task_that_is_passed_over_again_meets_the_bodies_of_the_same_rerun(
    redis_url: str,
) -> None:
    """An example that random ones came upon: what a task that was passed over had led to went to the lane of
    its old body, and was counted by its old rule."""
    machine = type("Machine", (CleanedUpTransitions,), {"url": redis_url})()
    try:
        machine.start()
        machine.register_flows(numbers=[0], again=False, delay_ms=0)
        flow = machine.oracle.flows[machine.registered[0].flow]
        machine.ask_now(Asked("cancel", [], "", False), flow, 1)
        machine.ask_now(Asked("rerun", [4, 2], "dependents", False, b"", True), flow, 2)
        machine.redis_equals_the_fold_of_its_log()
    finally:
        machine.teardown()


def test_what_flows_keep_of_results_follows_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=50, base=DataTransitions)


def test_rules_follow_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=75, base=RuledTransitions)


def test_cleanup_follows_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=75, base=CleanedUpTransitions)


def test_the_invariants_hold_while_dependents_are_released_in_steps(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As very wide fan-outs are: here one dependent a call, so that all else happens in the middle of it."""
    monkeypatch.setattr(register_transition, "WIDE_ROOTS", 1)
    for module in (worker_transitions, operator_transitions):
        steps = {"RELEASE_STEP": "1", "WIDE_BYTES": "1", "RULE_STEP": "1", "WIDE_LINKS": "1", "CUT_STEP": "1"}
        in_small(monkeypatch, module, **steps)
    assert b"#dependents > 1 " in worker_transitions._finish_and_claim.text  # pyright: ignore[reportPrivateUsage]
    run_machine(redis_url, examples=50, in_steps=True, plans=plain_plans())
    run_machine(redis_url, examples=50, base=RuledTransitions, in_steps=True)
    run_machine(redis_url, examples=25, base=CleanedUpTransitions, in_steps=True)
