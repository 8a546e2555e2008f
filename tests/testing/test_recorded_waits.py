"""Flows that waited for the world are recorded with what came: signals, answers, and what was passed over."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from flower_cli.commands.recorded_flow import recorded_test
from flower_cli.commands.recorded_text import NotRecordableError
from flower_engine import answered_by, approval, event, program, sleep, workflow
from flower_engine.testing import FlowerTest, FlowerTestError, Run, hangs
from flower_engine.testing.private_server import server


@program("recorded.ship")
def ship(amount: int) -> str:
    return f"shipped for {amount}"


@workflow("recorded.order")
def order(number: str) -> str:
    paid = event("paid", key=number, type=int)
    night = sleep("3h")
    ok = approval.having(after=[night])(of=2, timeout="1d", roles=["ops"])
    late = event.having(after=[ok])("packed", timeout="1h", default=0, type=int)
    return ship.having(after=[ok, late]).step(paid)


@workflow("recorded.asked")
def asked() -> list[str]:
    return answered_by(approval())


@pytest.mark.parametrize("keeps_values", [True, False])
def test_signals_are_sent_and_approvals_answered_as_they_were(
    flower: FlowerTest, tmp_path: Path, keeps_values: bool
) -> None:
    run = flower.start(order, "o-7")
    run.signal("paid", 30, key="o-7")
    flower.skip("4h")
    for name in ("ann", "bob"):
        run.answer("ok", by=name, roles=["ops"])
    assert run.settle() == "Finish"

    text = _recorded(order, run, keeps_values=keeps_values)

    assert text.index("run.signal('paid', 30, key=") < text.index("run.wait_for('ok')")
    assert "by='bob', roles=['ops'])" in text
    assert ("o-7" in text) is keeps_values
    assert "run.signal('packed'" not in text  # its time was over
    _passes(text, "order", tmp_path)


def test_a_wait_that_somebody_passed_over_is_passed_over(flower: FlowerTest, tmp_path: Path) -> None:
    run = flower.start(order, "o-7")
    run.work()
    run.ignore("paid", result=5)
    flower.skip("3h")
    run.ignore("ok")
    assert run.settle() == "Finish"

    text = _recorded(order, run)

    assert "run.ignore('paid', result=5)" in text
    _passes(text, "order", tmp_path)


def test_what_a_flow_returns_of_an_answer_is_not_compared(flower: FlowerTest, tmp_path: Path) -> None:
    run = flower.start(asked)
    run.answer("approval", by="ann")
    assert run.finish() == ["ann"]

    text = _recorded(asked, run)

    assert "run.result" not in text
    _passes(text, "asked", tmp_path)


def test_a_flow_that_was_cancelled_behind_a_signal(flower: FlowerTest, tmp_path: Path) -> None:
    flower.stub(ship, hangs())
    run = flower.start(order, "o-7")
    run.signal("paid", 30, key="o-7")
    run.work()
    run.cancel()

    _passes(_recorded(order, run, keeps_values=True), "order", tmp_path)


def test_a_flow_that_was_cancelled_behind_a_sleep_is_refused(flower: FlowerTest) -> None:
    run = flower.start(order, "o-7")
    flower.skip("4h")
    run.cancel()

    with pytest.raises(NotRecordableError, match="after the time of task night"):
        _recorded(order, run)


def test_a_task_that_never_awaits_anything_is_not_waited_for(flower: FlowerTest) -> None:
    flower.stub(ship, "done")
    run = flower.start(order, "o-7")

    with pytest.raises(FlowerTestError, match="awaits nothing"):
        run.wait_for("recorded_ship")


def _recorded(workflow: Any, run: Run[Any], *, keeps_values: bool = False) -> str:
    """From what the API would show of the flow."""
    engine = run._engine  # pyright: ignore[reportPrivateUsage]
    view = server().call(engine.view(run.id))
    details = server().call(engine.details(view))
    flow, tasks = msgspec.json.decode(msgspec.json.encode([view, details]))
    return recorded_test(flow, tasks, workflow.document(), keeps_values=keeps_values)


def _passes(text: str, name: str, folder: Path) -> None:
    file = folder / "test_recorded.py"
    file.write_text(text)
    found: dict[str, Any] = {}
    exec(compile(text, file, "exec", dont_inherit=True), found)
    with FlowerTest() as test:
        found[f"test_recorded_{name}"](test)
