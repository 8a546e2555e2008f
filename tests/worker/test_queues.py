"""In which order a worker names its queues: as it was told, or by weight."""

import pytest

from flower_engine.errors import SettingsError
from flower_engine.runtime.settings_loading import load_settings
from flower_worker.queues import Queues


def first_names(queues: Queues, *, slots: int, calls: int) -> list[str]:
    """What calls are given while every queue has tasks: those of the first queue that they name."""
    given: list[str] = []
    for _ in range(calls):
        first = str(queues.args()[1])
        queues.granted([first] * slots, slots)
        given += [first] * slots
    return given


def test_without_weights_the_order_is_kept() -> None:
    assert set(first_names(Queues(["a", "b"]), slots=1, calls=10)) == {"a"}


@pytest.mark.parametrize("slots", [1, 7, 100])
def test_by_weight_starts_follow_the_weights(slots: int) -> None:
    given = first_names(Queues(["a=3", "b", "c=0.5"]), slots=slots, calls=900)
    share = {name: given.count(name) / len(given) for name in "abc"}
    assert share == pytest.approx({"a": 6 / 9, "b": 2 / 9, "c": 1 / 9}, abs=0.01)


def test_what_a_queue_could_not_give_is_not_made_up_for() -> None:
    queues = Queues(["a=1", "b=1"])
    for _ in range(100):
        queues.granted(["a"], 2)  # b is empty, and a has no more either
    assert first_names(queues, slots=1, calls=4) == ["a", "b", "a", "b"]


def test_a_name_with_an_equals_sign_is_given_with_a_weight() -> None:
    assert Queues(["a=3=1"]).names == ("a=3",)
    assert Queues(["a=b"]).names == ("a=b",)


@pytest.mark.parametrize("entry", ["a=0", "a=-1", "a=1e9", "a=1001", "a=1.2.3"])
def test_a_weight_that_is_none_is_refused_or_is_part_of_the_name(entry: str) -> None:
    if entry == "a=1e9":
        assert Queues([entry]).names == (entry,)
        return
    with pytest.raises(SettingsError, match="weight of queue 'a'"):
        load_settings(queues=[entry])
