"""Maps that go along each other, in tests of workflows: items are stubbed by their keys."""

import pytest

from flower_engine import program, workflow
from flower_engine.testing import FlowerTest, StubError


@program("chains: words")
def words(text: str) -> list[str]:
    return text.split()


@program("chains: length")
def length(word: str) -> int:
    return len(word)


@program("chains: double")
def double(number: int) -> int:
    return 2 * number


@program("chains: add")
def add(numbers: list[int]) -> int:
    return sum(numbers)


@workflow("chains: lengths")
def lengths(text: str) -> int:
    counted = length.having(key="").map(words.step(text))
    doubled = double.map(counted)
    again = double.map(doubled)
    return add.step(again)


def test_a_stub_for_a_key_is_for_that_item_of_every_map_of_a_chain(flower: FlowerTest) -> None:
    everywhere = flower.stub(double, 100, key="bb")
    assert flower.run(lengths, text="a bb ccc").result == 4 + 100 + 12
    assert everywhere.calls == [{"number": 2}, {"number": 100}]


def test_a_stub_for_a_key_and_a_task_is_for_one_item_and_stands_before_those_of_more(
    flower: FlowerTest,
) -> None:
    flower.stub(double, 7)
    flower.stub(double, 8, task="again")
    flower.stub(double, 1_000, task="doubled", key="bb")
    one = flower.stub(double, 50, task="again", key="bb")
    assert flower.run(lengths, text="a bb").result == 8 + 50
    assert one.calls == [{"number": 1_000}]


def test_an_item_that_fails_by_its_key_holds_what_is_behind_it_alone(flower: FlowerTest) -> None:
    flower.stub(length, ValueError("no"), key="bb")
    run = flower.start(lengths, text="a bb ccc")
    assert run.settle() == "Suspend"
    tasks = {name: run.tasks[name].status for name in ("counted[bb]", "doubled[bb]", "again[ccc]")}
    assert tasks == {"counted[bb]": "Suspend", "doubled[bb]": "Wait", "again[ccc]": "Finish"}
    flower.stub(length, 5, key="bb")
    run.rerun()
    run.finish()
    assert run.result == 4 + 20 + 12


def test_a_stub_for_no_key_is_refused(flower: FlowerTest) -> None:
    with pytest.raises(StubError, match="leave out key="):
        flower.stub(double, 1, key="")
