"""Parameters by a plan are those that resolving gives, or there is no plan."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.parameters.references import NoValueError, resolved
from flower_worker.input_plans import plan_of

FLOW = "01a22112-b290-7001-b2b7-229863e7ab93"
MEMBER = f"{FLOW}:3".encode()
READS = {"one": 1, "2": 2}
MUCH = 1 << 20


def message(parameters: dict[str, Any], *, refs: bool = True) -> bytes:
    return msgspec.json.encode(
        TaskMessage(workflow="w", task_seq=3, program="P", parameters=parameters, reads=READS, refs=refs)
    )


def kept(payloads: dict[int, bytes]) -> dict[bytes, bytes]:
    return {f"{FLOW}:{seq}".encode(): payload for seq, payload in payloads.items()}


def planned(
    parameters: dict[str, Any], payloads: dict[int, bytes], most: int = MUCH
) -> dict[str, Any] | None:
    plan = plan_of(message(parameters))
    return None if plan is None else plan.parameters(MEMBER, kept(payloads), most)


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
PRODUCERS = st.sampled_from(["one", 2])
REFERENCES = (
    st.fixed_dictionaries({"$from": PRODUCERS, "path": st.sampled_from(["", "/a", "/0", "/a/0", "/b"])})
    | st.fixed_dictionaries({"$from": PRODUCERS, "default": SCALARS})
    | st.fixed_dictionaries({"$literal": SCALARS})
    | st.fixed_dictionaries({"a": st.fixed_dictionaries({"$from": PRODUCERS})})
    | st.lists(SCALARS, max_size=2)
)
RESULTS = (
    SCALARS | st.lists(SCALARS, min_size=1, max_size=2) | st.fixed_dictionaries({"a": st.lists(SCALARS)})
)


@given(
    st.dictionaries(st.sampled_from("abcd"), SCALARS | REFERENCES, min_size=1),
    st.dictionaries(st.sampled_from([1, 2]), RESULTS),
)
def test_a_plan_gives_what_resolving_gives_or_nothing(
    parameters: dict[str, Any], results: dict[int, Any]
) -> None:
    given = {seq: b"=" + msgspec.json.encode(result) for seq, result in results.items()}
    found = planned(parameters, given)
    if found is None:
        return

    def read(name: str) -> Any:
        if READS[name] not in results:
            raise NoValueError(name)
        return results[READS[name]]

    assert found == resolved(parameters, read, lambda name: name)
    assert list(found) == list(parameters)


def test_most_tasks_have_a_plan() -> None:
    parameters = {"x": {"$from": "one", "path": "/a/0"}, "n": 7, "y": {"$from": 2, "default": 1}, "t": "text"}
    found = planned(parameters, {1: b'={"a":[5]}', 2: b"=null"})
    assert found == {"x": 5, "n": 7, "y": None, "t": "text"}


@pytest.mark.parametrize("payload", [b"-", b'@{"sha256":"ab","bytes":7,"store":"api"}', b""])
def test_what_is_no_value_is_left_to_whoever_finds_out_why(payload: bytes) -> None:
    assert planned({"x": {"$from": "one"}}, {1: payload}) is None
    assert planned({"x": {"$from": "one"}}, {}) is None


def test_what_is_not_there_is_left_to_whoever_says_so() -> None:
    assert planned({"x": {"$from": "one", "path": "/a"}}, {1: b"=[]"}) is None


def test_much_is_left_to_a_thread() -> None:
    large = b'="' + b"x" * 90 + b'"'
    assert planned({"x": {"$from": "one"}, "y": {"$from": "one"}}, {1: large}, 150) is None
    assert planned({"x": {"$from": "one"}}, {1: large}, 150) == {"x": "x" * 90}


@pytest.mark.parametrize(
    "parameters",
    [
        {"x": [1]},
        {"x": {"$secret": "S"}},
        {"x": {"$text": "{a}", "a": {"$from": "one"}}},
        {"x": {"$from": 7}},
    ],
)
def test_what_is_more_than_that_has_no_plan(parameters: dict[str, Any]) -> None:
    assert plan_of(message(parameters)) is None


def test_there_is_no_plan_for_what_refers_to_nothing_or_is_long() -> None:
    assert plan_of(message({"x": 1}, refs=False)) is None
    assert plan_of(message({"x": {"$from": "one"}, "t": "x" * 5_000})) is None


def test_no_two_tasks_share_a_value() -> None:
    parameters = {"x": {"$from": "one"}, "y": {"$from": "one"}}
    first, second = (planned(parameters, {1: b"=[1]"}) for _ in range(2))
    assert first is not None
    first["x"].append(2)
    assert first["y"] == [1]
    assert second == {"x": [1], "y": [1]}
