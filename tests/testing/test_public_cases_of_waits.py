"""Situations in which other engines lost a signal, or passed an approval, as reports of theirs tell."""

import pytest

from flower_engine import answered_by, approval, event, program, sleep, workflow
from flower_engine.errors import ParametersError
from flower_engine.testing import FlowerTest


@program("cases: load")
def load() -> int:
    return 7


@program("cases: publish")
def publish(first: list[str], second: list[str]) -> list[str]:
    return [*first, *second]


@workflow("cases: a signal before its wait")
def early() -> int:
    loaded = load.step()
    return event.having(after=[loaded])("paid", type=int)


def test_a_signal_that_comes_before_its_wait_is_not_lost(flower: FlowerTest) -> None:
    """inngest#1433: an event that was sent before the step waited for it never reached the run."""
    run = flower.start(early)
    assert not run.signal("paid", 1)  # load has not even run
    assert run.finish() == 1


def test_a_signal_that_comes_while_what_is_before_its_wait_fails_is_not_lost(flower: FlowerTest) -> None:
    flower.stub(load, ValueError("1"), 7)
    run = flower.start(early)
    assert run.settle() == "Suspend"
    assert not run.signal("paid", 2)
    run.rerun()
    assert run.finish() == 2


@workflow("cases: a payment")
def payment(number: int) -> int:
    return event("paid", key=number, type=int)


def test_a_signal_by_name_and_key_reaches_all_that_await_it_or_the_first(flower: FlowerTest) -> None:
    runs = [*sorted((flower.start(payment, 7) for _ in range(2)), key=lambda run: run.id)]
    runs.append(flower.start(payment, 8))
    assert flower.signal("paid", 1, key=9) == 0
    assert flower.signal("paid", 2, key=7, first=True) == 1
    assert [run.status for run in runs] == ["Finish", "Wait", "Wait"]
    assert flower.signal("paid", 3, key=7) == 1
    with pytest.raises(ParametersError, match="takes another payload"):
        flower.signal("paid", "no number", key=8)
    assert flower.signal("paid", 4, key=8) == 1
    assert [run.finish() for run in runs] == [2, 3, 4]


@workflow("cases: an approval behind a long step")
def late() -> list[str]:
    night = sleep("3h")
    ok = approval.having(after=[night])(timeout="1h", roles=["ops"])
    return answered_by(ok)


def test_the_timeout_of_an_approval_runs_from_when_it_is_asked(flower: FlowerTest) -> None:
    """airflow#55866: the time of an approval ran from before it was asked, and it was over when it was."""
    run = flower.start(late)
    flower.skip("3h")
    flower.skip("59m")
    assert run.tasks["ok"].status == "Wait"
    run.answer("ok", True, by="ann", roles=["ops"])
    assert run.finish() == ["ann"]


def test_what_is_asked_anew_has_all_its_time_again(flower: FlowerTest) -> None:
    run = flower.start(late)
    flower.skip("5h")
    assert run.status == "Suspend"
    run.rerun()
    flower.skip("59m")
    run.answer("ok", True, by="ops")
    assert run.finish() == ["ops"]


@workflow("cases: an approval behind a step")
def approved() -> list[str]:
    night = sleep("1h")
    ok = approval.having(after=[night])()
    return publish.step(answered_by(ok), answered_by(ok))


def test_an_answer_is_kept_by_a_rerun_that_says_so(flower: FlowerTest) -> None:
    run = flower.start(approved)
    run.wait_for("ok")
    run.answer("ok", True, by="ann")
    run.finish()
    run.rerun("night", scope="dependents", keep_answers=True)
    assert run.finish() == ["ann", "ann"]
    run.rerun("night", scope="dependents")
    run.wait_for("ok")


@workflow("cases: two approvals side by side")
def parallel() -> list[str]:
    first = approval(roles=["ops"])
    second = approval(roles=["law"], of=2)
    return publish.step(answered_by(first), answered_by(second))


def test_an_answer_to_one_approval_answers_no_other_beside_it(flower: FlowerTest) -> None:
    """windmill#2639: of approvals in parallel branches one answer let the flow go on past the others."""
    run = flower.start(parallel)
    run.answer("first", True, by="ann", roles=["ops"])
    assert run.settle() != "Finish"
    assert (run.tasks["first"].status, run.tasks["second"].status) == ("Finish", "Wait")
    run.answer("second", True, by="ann", roles=["law"])
    assert run.settle() != "Finish"
    assert run.tasks["cases_publish"].status == "Wait"
    run.answer("second", True, by="bob", roles=["law"])
    assert run.finish() == ["ann", "ann", "bob"]
