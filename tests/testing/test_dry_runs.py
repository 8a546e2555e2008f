"""In tests of workflows operations say what they would do, in the words of the client, and do nothing."""

from datetime import timedelta

import pytest

from flower_engine import program, workflow
from flower_engine.errors import RefusedError
from flower_engine.testing import FlowerTest


@program("dry.load")
def load(day: str) -> int:
    return len(day)


@program("dry.report")
def report(rows: int) -> str:
    return f"{rows} rows"


@workflow("dry.day")
def day_(day: str) -> str:
    rows = load.having(name="rows").step(day)
    return report.having(name="told").step(rows)


@workflow("dry.week")
def week(day: str) -> str:
    return day_.having(name="child").step(day)


def test_each_operation_says_what_it_would_do_and_does_nothing(flower: FlowerTest) -> None:
    flower.stub(load, ValueError("no"), 42)
    run = flower.start(day_, "monday")
    assert run.settle() == "Suspend"
    rerun = run.rerun("rows", dry_run=True)
    assert (rerun.operation, rerun.tasks) == ("rerun", [1])
    assert rerun.effect is not None
    assert (rerun.effect["runs"], rerun.effect["ready"]) == ([1], [1])
    told = {
        "resume": run.resume(dry_run=True),
        "ignore": run.ignore("rows", cascade=True, dry_run=True),
        "fork": run.fork_dry_run("rows"),
        "pause": run.pause(dry_run=True),
        "priority": run.prioritise(7, dry_run=True),
        "cancel": run.cancel(dry_run=True),
    }
    assert {word: one.operation for word, one in told.items()} == {
        **{word: word for word in told},
        "resume": "rerun",
    }
    effects = {word: one.effect or {} for word, one in told.items()}
    assert effects["ignore"]["passedOver"] == [1, 2]
    assert effects["ignore"]["ends"]
    assert effects["fork"]["runs"] == [1, 2]
    assert effects["priority"]["prioritised"] == [1, 2]
    assert effects["cancel"]["cutOff"] == [1, 2]
    assert run.status == "Suspend"
    assert {one.version for one in told.values()} == {rerun.version}


def test_what_is_refused_is_refused_by_a_dry_run(flower: FlowerTest) -> None:
    run = flower.start(day_, "monday")
    run.finish()
    with pytest.raises(RefusedError, match="it has ended"):
        run.cancel(dry_run=True)
    with pytest.raises(RefusedError, match="it has ended"):
        run.ignore("told", dry_run=True)


def test_children_are_told_of_as_they_are_met(flower: FlowerTest) -> None:
    flower.stub(load, ValueError("no"), 42)
    run = flower.start(week, "monday")
    assert run.settle() == "Suspend"
    child = run.child("child")
    told = run.rerun(dry_run=True)
    done = run.rerun()
    assert [(one.task_flow_id, one.operation, one.tasks) for one in told.tree] == [(child.id, "rerun", [1])]
    assert [(one.task_flow_id, one.operation, one.tasks) for one in done.tree] == [(child.id, "rerun", [1])]
    assert told.tasks == done.tasks == [1]
    assert run.finish() == "42 rows"


def test_a_fork_takes_over_what_its_dry_run_said(flower: FlowerTest) -> None:
    loads = flower.stub(load, 42)
    run = flower.start(day_, "monday")
    run.finish()
    told = run.fork_dry_run("told")
    assert told.effect is not None
    assert (told.effect["kept"], told.effect["runs"]) == ([1], [2])
    assert run.fork("told").finish() == "42 rows"
    assert len(loads.calls) == 1


def test_a_limit_of_flows_and_a_pause_hold_up_what_would_start(flower: FlowerTest) -> None:
    flower.limit(day_, max_flows=1)
    flower.stub(load, ValueError("no"))
    first = flower.start(day_, "monday")
    assert first.settle() == "Suspend"
    flower.stub(load, 42)
    second = flower.start(day_, "sunday")
    held = first.rerun(dry_run=True).effect
    assert held is not None
    assert held["ready"] == []
    (place,) = held["heldUp"]
    assert place["tasks"] == [1]
    assert (place["reason"]["reason"], place["reason"]["most"]) == ("noPlace", 1)
    first.rerun()
    assert first.work() == "Finish"  # the other one had ended by then
    assert second.status == "Finish"
    flower.limit(load, is_paused=True)
    stopped = second.rerun("rows", scope="dependents", dry_run=True).effect
    assert stopped is not None
    assert stopped["heldUp"][0]["reason"] == {
        **{"reason": "scopePaused", "scope": "program", "name": "dry.load"},
        **{"by": "test", "because": ""},
    }
    second.rerun("rows", scope="dependents")
    assert second.settle() == "Wait"
    assert second.skipped == timedelta()
