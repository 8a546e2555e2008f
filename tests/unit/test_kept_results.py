"""The rule of what a flow keeps of results, told by small flows."""

from typing import Any

import msgspec
import pytest

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold
from flower_engine.model.folding.kept_results import kept_results, payload_of, reads_of, reads_text
from flower_engine.model.invariants.kept_invariants import kept_differences, value_differences
from flower_engine.model.invariants.partition_state import LiveFlow, LiveTask
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.blob_ref import BlobRef

BLOB = BlobRef(sha256="ab", bytes=70_000, store="api")


def reader(**parameters: Any) -> PlannedTask:
    """Task 3, of which ``first`` is task 1, and 2 is task 2."""
    return PlannedTask(
        seq=3,
        task_seq=3,
        program="A",
        depends_on=(1, 2),
        parameters=parameters,
        reads={"first": 1, "2": 2},
        refs=True,
    )


def flow(task: PlannedTask, **taken: Any) -> FlowState:
    """A flow whose first two tasks were taken over from another."""
    others = tuple(PlannedTask(seq=seq, task_seq=seq, program="A") for seq in (1, 2))
    event = FlowRegistered(at=1, flow="f", v=1, workflow="w", order=0, tasks=(*others, task), **taken)
    return fold([event])["f"]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"p": {"$from": "first"}}, "1"),
        ({"p": {"$from": 2, "optional": True}, "q": {"$from": "first"}}, "1,2?"),
        ({"p": {"$from": 2, "default": None}, "q": [{"$from": 2, "path": "/a"}]}, "2"),
        ({"p": {"$literal": {"$from": "first"}}, "q": 5}, ""),
        ({"p": {"$text": "{n} rows", "n": {"$from": "first"}}}, "1"),
        ({"p": {"$from": "somebody else"}}, ""),
    ],
)
def test_what_a_task_reads_follows_from_its_parameters(parameters: dict[str, Any], text: str) -> None:
    assert reads_text(reads_of(reader(**parameters))) == text


def test_a_result_is_kept_while_a_task_that_is_not_final_reads_it() -> None:
    state = flow(reader(p={"$from": "first"}), taken={1: msgspec.Raw(b"[1]"), 2: msgspec.Raw(b"[2]")})
    assert kept_results(state) == {1: b"=[1]"}
    for status in (Status.RUNNING, Status.SUSPEND):
        state.task(3).status = status
        assert kept_results(state) == {1: b"=[1]"}
    for status in (Status.FINISH, Status.IGNORE):
        state.task(3).status = status
        assert kept_results(state) == {}


def test_what_has_no_value_is_not_kept() -> None:
    state = flow(reader(p={"$from": "first", "optional": True}), blobs={2: BLOB}, ignored=(1,))
    assert kept_results(state) == {}
    assert payload_of(state.task(1)) is None
    assert payload_of(state.task(2)) == b'@{"sha256":"ab","bytes":70000,"store":"api"}'


def test_a_stand_in_is_kept_as_any_result() -> None:
    state = flow(reader(p={"$from": "first"}), ignored=(1, 2), stand_ins={1: msgspec.Raw(b"null")})
    assert kept_results(state) == {1: b"=null"}


@pytest.mark.parametrize(
    ("held", "is_other"),
    [(b'={"a":1.50,"b":"\\u00e4"}', False), (b'={"a":1.51,"b":"\xc3\xa4"}', True), (b'@{"a":1.5}', True)],
)
def test_a_value_is_the_same_however_it_is_written(held: bytes, *, is_other: bool) -> None:
    result = '{"b": "ä", "a": 1.5}'.encode()
    state = flow(reader(p={"$from": "first"}), taken={1: msgspec.Raw(result), 2: msgspec.Raw(b"2")})
    assert bool(list(value_differences(state, {1: held}))) == is_other


def test_each_thing_that_differs_is_told() -> None:
    state = flow(reader(p={"$from": "first"}), taken={1: msgspec.Raw(b"[1]"), 2: msgspec.Raw(b"[2]")})
    right = [
        LiveTask(status=Status.FINISH, readers=1, kept="=4", kept_bytes=4),
        LiveTask(status=Status.FINISH),
        LiveTask(reads="1"),
    ]
    live = LiveFlow(version=1, left=1, done=2, order=0, flags="d4", timeout_ms=0, tasks=right, kept=4)
    assert list(kept_differences(state, live)) == []
    replace = msgspec.structs.replace
    wrong = [
        replace(live, kept=5),
        replace(live, kept=None),
        replace(live, tasks=[replace(right[0], readers=2), *right[1:]]),
        replace(live, tasks=[replace(right[0], kept=""), *right[1:]]),
        replace(live, tasks=[right[0], replace(right[1], kept="=4", kept_bytes=4), right[2]]),
        replace(live, tasks=[*right[:2], replace(right[2], reads="")]),
    ]
    assert all(list(kept_differences(state, one)) for one in wrong)
