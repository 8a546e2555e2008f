"""A pin leads to one partition, one of those that there were at first."""

from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.flow_control.flow_control import FlowControl, counted_in_one_place, problems_of_share
from flower_engine.model.partitions.pins import pinned_by, pinned_partition, problem_of_pin


@given(workflow=st.text(min_size=1), first=st.integers(1, 64))
def test_a_pinned_workflow_has_one_partition_among_the_first(workflow: str, first: int) -> None:
    (pin,) = pinned_by("workflow", workflow, ["a", "b", ""])
    assert 0 <= pinned_partition(pin, first) < first


def test_flows_with_the_same_key_are_pinned_alike_and_those_without_are_not() -> None:
    assert pinned_by("key", "etl", ["a", "", "a"]) == pinned_by("key", "etl", ["a"]) == {"etl/a"}
    assert pinned_by("key", "etl", ["", ""]) == set()
    assert pinned_by("key", "etl", ["a", "b"]) == {"etl/a", "etl/b"}
    assert pinned_by(None, "etl", ["a"]) == set()


def test_keys_are_spread_over_the_first_partitions() -> None:
    partitions = {pinned_partition(one, 4) for key in "abcdefgh" for one in pinned_by("key", "etl", [key])}
    assert partitions == {0, 1, 2, 3}


def test_another_word_is_refused_with_those_that_there_are() -> None:
    assert problem_of_pin("workflow") is None
    assert problem_of_pin("flow") == (
        "pin is 'flow', which is none of workflow, key; leave it out to spread its flows"
    )


def test_what_is_counted_in_one_place_may_be_less_than_there_are_partitions() -> None:
    control = FlowControl(
        scope="workflow", name="etl", limit_by="x", max_per_key=1, max_flows=1, at_max_flows="reject"
    )
    assert len(problems_of_share(control, 4)) == 2
    assert problems_of_share(control, 4, "workflow") == []
    assert len(problems_of_share(control, 4, "key")) == 1
    of_program = FlowControl(scope="program", name="etl", limit_by="x", max_per_key=1)
    assert counted_in_one_place(of_program, "workflow") == set()
