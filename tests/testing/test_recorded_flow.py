"""A flow is recorded as a test that passes as it is written."""

from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flower_cli.commands.recorded_flow import recorded_test
from flower_cli.commands.recorded_text import NotRecordableError
from flower_engine import Again, Fatal, RetryPolicy, hold, program, workflow
from flower_engine.testing import FlowerTest, Run, by_element, hangs
from flower_engine.testing.private_server import server


class OutOfPaperError(Exception):
    pass


@program("recorded.count")
def count(day: date, who: str) -> list[dict[str, int]]:
    return [{"rows": len(who), "day": day.day}] * 12


@program("recorded.printed")
def printed(rows: int) -> str:
    return f"{rows} rows"


@workflow("recorded.report")
def report(day: date, who: str, most: int = 5) -> str:
    counts = count.having(retry=RetryPolicy(5, delay="2h"), timeout="6h").step(day, who)
    return printed.having(retry=RetryPolicy(2)).step(counts[0]["rows"])


@pytest.mark.parametrize("keeps_values", [True, False])
def test_a_flow_that_finished(flower: FlowerTest, tmp_path: Path, keeps_values: bool) -> None:
    flower.stub(
        count, ValueError('a "bad" line\nand another'), hangs(), OutOfPaperError("none"), [{"rows": 3}]
    )
    run = flower.run(report, date(2026, 1, 5), "Ada")

    text = _recorded(flower, run, keeps_values=keeps_values)

    assert ("Ada" in text) is keeps_values
    assert "assert run.tasks['counts'].attempts == 4" in text
    _passes(text, tmp_path)


def test_a_flow_with_a_task_that_failed_for_good(flower: FlowerTest, tmp_path: Path) -> None:
    flower.stub(count, Fatal("no such day"))
    run = flower.start(report, date(2026, 1, 5), "Ada")
    run.settle()

    text = _recorded(flower, run)

    assert "assert run.settle() == 'Suspend'" in text
    _passes(text, tmp_path)


def test_a_flow_with_a_task_that_asked_for_rounds(flower: FlowerTest, tmp_path: Path) -> None:
    asked = Again({"who": "Bob"}, after="1h"), ValueError("no"), Again()
    flower.stub(count, *asked, [{"rows": 3}])
    run = flower.run(report, date(2026, 1, 5), "Ada")

    text = _recorded(flower, run, keeps_values=True)

    assert "Again({'who': 'Bob'})" in text and "from flower_engine import Again" in text
    assert "assert run.tasks['counts'].attempts == 4" in text
    _passes(text, tmp_path)


def test_a_flow_that_was_rerun_and_a_task_that_was_passed_over(flower: FlowerTest, tmp_path: Path) -> None:
    flower.stub(count, Fatal("no such day"), [{"rows": 3}])
    flower.stub(printed, OutOfPaperError("none"))
    run = flower.start(report, date(2026, 1, 5), "Ada")
    run.settle()
    run.rerun()
    run.settle()
    run.ignore("recorded_printed", result="by hand")
    run.settle()

    text = _recorded(flower, run)

    assert "no such day" not in text  # it would fail again
    _passes(text, tmp_path)


@workflow("recorded.race")
def race() -> str:
    fast = printed.having(name="fast").step(1)
    slow = printed.having(name="slow").step(2)
    behind = printed.having(name="behind", after=[slow]).step(3)
    many = printed.map([4, 5])
    return printed.having(name="won", rule="any:cancel", after=[fast, behind, many]).step(6)


def test_a_flow_with_a_join_that_went_on_without_the_others(flower: FlowerTest, tmp_path: Path) -> None:
    flower.stub(printed, hangs(), task="slow")
    flower.stub(printed, by_element("rows", [(4, ["4 rows"]), (5, [hangs()])]), task="many")
    run = flower.run(race)
    ends = {name: task.status for name, task in run.tasks.items()}
    assert (ends["slow"], ends["behind"], ends["many"]) == ("Ignore",) * 3

    text = _recorded(flower, run, keeps_values=True, document=race.document())

    assert "run.ignore" not in text and "hangs()" in text
    _passes(text, tmp_path)


def test_a_flow_under_way_is_refused(flower: FlowerTest) -> None:
    run = flower.start(report, date(2026, 1, 5), "Ada")

    with pytest.raises(NotRecordableError, match="it is under way"):
        _recorded(flower, run)


def test_a_cancelled_flow_is_cancelled_where_it_stood(flower: FlowerTest, tmp_path: Path) -> None:
    flower.stub(count, ValueError("once"), [{"rows": 3}])
    flower.stub(printed, hangs())
    run = flower.start(report, date(2026, 1, 5), "Ada")
    run.work()
    flower.skip("3h")
    run.cancel()

    text = _recorded(flower, run)

    assert "[{'rows': 3}]" in text and "hangs()" in text and "once" not in text
    _passes(text, tmp_path)


def test_a_flow_that_was_cancelled_behind_a_stand_in(flower: FlowerTest, tmp_path: Path) -> None:
    flower.stub(count, Fatal("no such day"))
    flower.stub(printed, hangs())
    run = flower.start(report, date(2026, 1, 5), "Ada")
    run.settle()
    run.ignore("counts", result=[{"rows": 4}])
    run.work()
    run.cancel()

    text = _recorded(flower, run)

    assert "run.ignore('counts', result=[{'rows': 4}])" in text
    _passes(text, tmp_path)


@workflow("recorded.report")
def mapped(days: list[date]) -> list[str]:
    count.having(retry=RetryPolicy(3, delay="1h"), tolerate=1).map(days, "Ada")
    return printed.map([1, 1, 2])


def test_a_flow_with_maps_says_by_element_what_items_came_to(flower: FlowerTest, tmp_path: Path) -> None:
    def counted(day: date, who: str) -> list[dict[str, int]]:
        tries.append(day)
        if day.day == 2 and tries.count(day) < 2:
            raise OutOfPaperError("none")
        if day.day == 3:
            raise Fatal("no such day")
        return [{"rows": day.day}]

    tries: list[date] = []
    flower.stub(count, counted)
    run = flower.start(mapped, [date(2026, 1, day) for day in (3, 1, 2)])
    run.settle()
    for keeps_values in (True, False):
        text = _recorded(flower, run, keeps_values=keeps_values, document=mapped.document())
        assert ("('2026-01-02', [recorded_error" in text) is True
        assert "assert run.settle() == 'Failed'" in text  # one was given up
        _passes(text, tmp_path)


@program("recorded.doubled")
def doubled(number: int) -> int:
    return 2 * number


@program("recorded.told")
def told(of: int) -> str:
    return f"{of} in all"


@workflow("recorded.report")
def along(numbers: list[int]) -> list[str]:
    return told.map(doubled.having(retry=RetryPolicy(2, delay="1h")).map(numbers))


def test_an_item_of_a_chain_is_told_apart_by_what_the_one_before_it_came_to(
    flower: FlowerTest, tmp_path: Path
) -> None:
    """In whatever order they run: the first one of the first map fails once."""
    flower.stub(doubled, by_element("number", [(1, [ValueError("no"), 2]), (2, [4]), (3, [6])]))
    flower.stub(told, by_element("of", [(2, ["two"]), (4, ["four"]), (6, ["six"])]))
    run = flower.start(along, [1, 2, 3])
    assert run.finish() == ["two", "four", "six"]
    text = _recorded(flower, run, keeps_values=True, document=along.document())
    assert "(4, ['four'])" in text
    _passes(text, tmp_path)


@workflow("recorded.report")
def failing(rows: list[int]) -> list[str]:
    printed.having(name="given", on_failure="give_up", after=[]).map(rows)
    printed.having(name="held", on_failure=hold("1h")).map(rows)
    return printed.having(name="passed", on_failure="pass", stand_in="none").map(rows)


def test_a_flow_with_items_that_failed_each_as_its_map_says(flower: FlowerTest, tmp_path: Path) -> None:
    flower.stub(printed, by_element("rows", [(1, [Fatal("no")]), (2, ["2 rows"])]), task="given")
    flower.stub(printed, by_element("rows", [(1, ["1 row"]), (2, [Fatal("no")])]), task="held")
    flower.stub(printed, by_element("rows", [(1, ["1 row"]), (2, [Fatal("no")])]), task="passed")
    run = flower.start(failing, [1, 2])
    assert run.settle() == "Failed"
    assert run.tasks["passed"].result == ["1 row", "none"]
    text = _recorded(flower, run, keeps_values=True, document=failing.document())
    assert "run.ignore" not in text
    _passes(text, tmp_path)


def test_a_flow_that_was_cancelled_behind_items_that_failed(flower: FlowerTest, tmp_path: Path) -> None:
    flower.stub(printed, by_element("rows", [(1, [Fatal("no")]), (2, ["2 rows"])]), task="given")
    flower.stub(printed, by_element("rows", [(1, ["1 row"]), (2, [hangs()])]), task="held")
    flower.stub(printed, by_element("rows", [(1, ["1 row"]), (2, [Fatal("no")])]), task="passed")
    run = flower.start(failing, [1, 2])
    run.work()
    assert run.tasks["passed"].status == "Finish"
    run.cancel()
    text = _recorded(flower, run, keeps_values=True, document=failing.document())
    assert "assert run.tasks['passed'].status == 'Finish'" in text
    _passes(text, tmp_path)


def test_a_flow_with_maps_that_was_cancelled(flower: FlowerTest, tmp_path: Path) -> None:
    flower.stub(count, by_element("day", [("2026-01-01", [[{"rows": 1}]]), ("2026-01-02", [hangs()])]))
    run = flower.start(mapped, [date(2026, 1, day) for day in (2, 1)])
    run.work()
    run.cancel()
    _passes(_recorded(flower, run, keeps_values=True, document=mapped.document()), tmp_path)


@workflow("recorded.parent")
def parent() -> str:
    return report.step(date(2026, 1, 5), "Ada")


def test_a_flow_with_children_says_which_flow_to_record(flower: FlowerTest) -> None:
    run = flower.run(parent)
    with pytest.raises(NotRecordableError, match=f"its child, flow {run.child('recorded_report').id}"):
        _recorded(flower, run, document=parent.document())


def test_a_child_is_recorded_by_itself(flower: FlowerTest, tmp_path: Path) -> None:
    child = flower.run(parent).child("recorded_report")
    _passes(_recorded(flower, child, keeps_values=True), tmp_path)


def _recorded(flower: FlowerTest, run: Run[Any], *, keeps_values: bool = False, document: Any = None) -> str:
    """From what the API would show of the flow."""
    engine = flower._engine  # pyright: ignore[reportPrivateUsage]
    view = server().call(engine.view(run.id))
    details = server().call(engine.details(view))
    flow, tasks = msgspec.json.decode(msgspec.json.encode([view, details]))
    return recorded_test(flow, tasks, document or report.document(), keeps_values=keeps_values)


def _passes(text: str, folder: Path) -> None:
    file = folder / "test_recorded.py"
    file.write_text(text)
    found: dict[str, Any] = {}
    exec(compile(text, file, "exec", dont_inherit=True), found)
    with FlowerTest() as test:
        (recorded,) = (one for name, one in found.items() if name.startswith("test_"))
        recorded(test)
