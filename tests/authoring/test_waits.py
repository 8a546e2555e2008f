"""Waits in the body of a workflow: what they become, what they refuse, and how a flow with them goes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from flower_engine import (
    Approved,
    DefinitionError,
    answered_by,
    approval,
    event,
    program,
    sleep,
    text,
    workflow,
)
from flower_engine.authoring.workflow import Workflow
from flower_engine.errors import FlowEndedError, NotAskedError, ParametersError, RefusedError
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.testing import FlowerTest
from flower_engine.testing.faults import StuckError


class Payment(msgspec.Struct):
    amount: int
    order: str = ""


class Decision(msgspec.Struct):
    approved: bool
    comment: str = ""


@program("waits: count")
def count(day: str) -> int:
    return len(day)


@program("waits: ship")
def ship(amount: int, comment: str, by: list[str]) -> str:
    return f"{amount} {comment} {','.join(by)}"


@workflow("waits: order")
def order(number: int, day: str = "today", patience: float = 60) -> str:
    rows = count.step(day)
    pause = sleep.having(after=[rows])("2h")
    paid = event.having(after=[pause])("paid", key=number, type=Payment, timeout=patience)
    ok = approval(
        Decision,
        title=text("{n} rows of {day}", n=rows, day=day),
        shows={"paid": paid},
        roles=["ops"],
        of=2,
        timeout="2d",
        default=Decision(False, "nobody answered"),
    )
    return ship.step(paid.amount, ok.comment, answered_by(ok))


def task(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in document["tasks"] if one["taskName"] == name)


def test_waits_become_tasks_of_the_definition() -> None:
    document = order.document()
    assert task(document, "pause") == {
        "taskSeq": 2,
        "taskName": "pause",
        "program": "@sleep",
        "parameters": {"seconds": 7200},
        "dependsOn": ["rows"],
    }
    paid = task(document, "paid")
    assert (paid["program"], paid["dependsOn"]) == ("@event", ["pause"])
    said = paid["parameters"]
    assert (said["name"], said["key"]) == ("paid", {"$text": "{key}", "key": {"$param": "number"}})
    assert said["timeout_seconds"] == {"$param": "patience"}
    assert said["type"]["$ref"] == "#/$defs/Payment"
    ok = task(document, "ok")
    assert ok["dependsOn"] == ["rows", "paid"]
    assert (ok["parameters"]["of"], ok["parameters"]["roles"]) == (2, ["ops"])
    assert ok["parameters"]["default"] == {"approved": False, "comment": "nobody answered"}
    assert ok["parameters"]["on_timeout"] == "default"
    ship_task = document["tasks"][-1]
    assert ship_task["parameters"]["comment"] == {"$from": "ok", "path": "/answer/comment"}
    assert ship_task["parameters"]["by"] == {"$from": "ok", "path": "/by"}
    again = msgspec.convert(document, WorkflowDocument).to_model()
    assert WorkflowDocument.of(again).to_model() == again


def refused(body: Any) -> str:
    with pytest.raises(DefinitionError) as caught:
        Workflow(body, "refused").document()
    assert __file__ in str(caught.value)
    return str(caught.value)


def of_no_time(day: str) -> None:
    sleep(day)  # type: ignore[arg-type]


def of_both(day: str) -> None:
    sleep("2h", until=datetime.now(UTC))  # type: ignore[call-overload]


def of_no_offset(day: str) -> None:
    sleep(until=datetime(2026, 1, 5))


def of_a_result(day: str) -> None:
    event("paid", key=count.step(day))


def of_a_wrong_default(day: str) -> None:
    event("paid", type=Payment, timeout="1h", default=7)  # type: ignore[call-overload]


def of_a_default_without_a_time(day: str) -> None:
    approval(default=Approved(True))


def of_nobody(day: str) -> None:
    count.step(answered_by(day))  # type: ignore[arg-type]


def of_many(day: str) -> None:
    approval(of=0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (of_no_time, "it takes float, in seconds"),
        (of_both, "with both or neither"),
        (of_no_offset, "has no offset"),
        (of_a_result, "fixed when the flow is registered"),
        (of_a_wrong_default, "default"),
        (of_a_default_without_a_time, "on_timeout needs timeout_seconds"),
        (of_nobody, "give what approval(...) returned"),
        (of_many, "1 to 100"),
    ],
)
def test_what_a_wait_cannot_be_is_refused_with_its_place(body: Any, said: str) -> None:
    assert said in refused(body)


def test_waits_stand_in_the_body_of_a_workflow() -> None:
    for wait in (lambda: sleep("2h"), lambda: event("paid"), approval):
        with pytest.raises(DefinitionError, match="@workflow"):
            wait()


def test_a_flow_is_answered_and_signalled_in_skipped_time(flower: FlowerTest) -> None:
    run = flower.start(order, 7)
    run.work()
    assert run.tasks["pause"].status == "Wait"
    flower.skip("2h")
    assert run.tasks["pause"].status == "Finish"
    assert not run.signal("paid", Payment(1), key=8)
    with pytest.raises(ParametersError):
        run.signal("paid", {"amount": "much"}, key=7)
    assert run.signal("paid", Payment(5), key=7)
    run.work()
    with pytest.raises(NotAskedError):
        run.answer("ok", Decision(True), by="eve")
    run.answer("ok", Decision(True, "fine"), by="ann", roles=["ops"])
    with pytest.raises(RefusedError):
        run.answer("ok", Decision(True), by="ann", roles=["ops"])
    with pytest.raises(StuckError):
        _ = run.result
    run.answer("ok", Decision(True, "yes"), by="ops")
    assert run.finish() == "5 yes ann,ops"
    histories = [[one.how for one in run.tasks[name].history] for name in ("pause", "paid", "ok")]
    assert histories == [["over"], ["answered"], ["answered"]]
    assert run.tasks["ok"].history[0].by == "ops"
    assert run.skipped == timedelta(hours=2)
    with pytest.raises(FlowEndedError):
        run.signal("paid", key=7)


def test_what_nobody_answers_has_its_default_in_skipped_time(flower: FlowerTest) -> None:
    run = flower.start(order, 7)
    run.signal("paid", Payment(5), key=7)
    assert run.finish() == "5 nobody answered "
    assert run.skipped == timedelta(days=2, hours=2)


def test_what_does_not_come_suspends_in_skipped_time(flower: FlowerTest) -> None:
    run = flower.start(order, 7, patience=90)
    assert run.settle() == "Suspend"
    assert run.skipped == timedelta(hours=2, seconds=90)
    error = run.tasks["paid"].error
    assert error is not None
    assert error.type == "WaitTimeout"
    run.rerun()
    assert run.signal("paid", Payment(1), key=7)


def test_it_sleeps_until_a_moment_that_the_flow_is_given(flower: FlowerTest) -> None:
    @workflow("waits: until")
    def until(when: datetime) -> None:
        woken = sleep(until=when)
        count.having(after=[woken]).step("x")

    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    run = flower.run(until, moment)
    assert abs(run.skipped_to - moment) < timedelta(seconds=1)


@workflow("waits: asked of some")
def asked_of_some(who: list[str], amount: int = 5) -> tuple[list[str], int]:
    ok = approval(roles=who)
    paid = event("paid", type=int, timeout="1h", default=amount)
    return answered_by(ok), paid


def test_who_is_asked_and_what_a_default_is_may_be_parameters_of_the_flow(flower: FlowerTest) -> None:
    run = flower.start(asked_of_some, ["ops", "law"], amount=7)
    with pytest.raises(NotAskedError, match="not among those who are asked: ops, law"):
        run.answer("ok", by="ann", roles=["dwh"])
    run.answer("ok", by="ann", roles=["law"])
    assert run.finish() == (["ann"], 7)
    assert flower.start(asked_of_some, ["ops"]).tasks["paid"].parameters["default"] == 5


@pytest.mark.parametrize("given", [{"amount": "much"}, {}])
def test_a_default_that_is_a_parameter_is_held_against_its_type(
    flower: FlowerTest, given: dict[str, Any]
) -> None:
    amount = {"type": ["integer", "string"], "default": "nothing"}
    waits: dict[str, Any] = {
        "name": "paid",
        "type": {"$literal": {"type": "integer"}},
        "default": {"$param": "amount"},
    }
    waits |= {"timeout_seconds": 60, "on_timeout": "default"}
    document: dict[str, Any] = {
        "taskId": "waits: paid",
        "parametersSchema": {"type": "object", "properties": {"amount": amount}},
        "tasks": [{"taskSeq": 1, "program": "@event", "dependsOn": [], "parameters": waits}],
    }
    with pytest.raises(ParametersError, match=r"parameter 'default': it does not fit type: "):
        flower.start(document, **given)
    assert flower.run(document, amount=3).tasks["1"].result == 3
