"""Tests of workflows decide as workers do: by the same code, and no worker."""

from typing import Any

import msgspec

from flower_engine import either, is_none, otherwise, program, when, workflow
from flower_engine.testing import FlowerTest


class Total(msgspec.Struct):
    rows: int
    bad: int = 0
    note: str | None = None


@program("branches.count")
def count() -> Total:
    return Total(70, 3)


@program("branches.hold")
def hold_back(total: Total) -> str:
    return f"held: {total.bad} of {total.rows}"


@program("branches.send")
def send(total: Total, note: str | None = None) -> str:
    return f"sent with {note}"


@program("branches.tell")
def tell(what: str) -> str:
    return f"told: {what}"


@workflow("branches.published")
def published(threshold: int = 50) -> str:
    total = count.step()
    with when(total.bad > threshold, name="big"):
        held = hold_back.step(total)
        with when(is_none(total.note)):
            told = tell.step(held)
    with otherwise():
        sent = send.step(total, total.note)
    return tell.step(either(told, sent))


def statuses(run: Any) -> dict[str, str]:
    return {name: task.status for name, task in run.tasks.items()}


def test_the_branch_that_is_taken_runs_and_the_others_are_passed_over(flower: FlowerTest) -> None:
    run = flower.run(published, threshold=2)
    assert run.result == "told: told: held: 3 of 70"
    assert run.tasks["big"].result == {"is": True, "values": {"total.bad": 3}}
    assert statuses(run)["sent"] == "Ignore"
    run = flower.run(published, threshold=3)
    assert run.result == "told: sent with None"
    assert [statuses(run)[name] for name in ("held", "when_total", "told")] == ["Ignore"] * 3
    held, big = run.tasks["held"], run.tasks["big"]
    assert (held.ended_as, big.ended_as, big.why) == ("notTaken", None, "")
    assert held.why == "not taken: big is false: total.bad > 3, with total.bad = 3"


def test_it_is_said_how_a_task_has_ended_and_what_it_waits_for(flower: FlowerTest) -> None:
    run = flower.start(published)
    assert run.tasks["held"].why == "waits for 1, 2"
    run.ignore("total", result={"rows": 1, "bad": 60, "note": None}, reason="known already")
    assert (run.tasks["total"].ended_as, run.tasks["total"].why) == ("passedOver", "known already")
    assert run.finish() == "told: told: held: 60 of 1"


def test_a_branch_that_is_not_taken_needs_no_program(flower: FlowerTest) -> None:
    flower.stub(count, {"rows": 1, "bad": 0, "note": "x"})
    assert flower.run(published).result == "told: sent with x"
