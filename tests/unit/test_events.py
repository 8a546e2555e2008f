"""Events as JSON: round trip, and what is refused as newer, what as damaged, what is tolerated."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.errors import NewerEventError
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import (
    TaskFinished,
    TaskLapsed,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
)
from flower_engine.model.events.events import (
    AnyEvent,
    FlowRegistered,
    LogOpened,
    OutcomeRefused,
    decode_event,
    encode_event,
)
from flower_engine.model.tasks.task_error import TaskError

FLOW = "018f3c5e-7a10-7000-8000-000000000000"

counts = st.integers(0, 2**53)
text = st.text(st.characters(codec="utf-8"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
results = json_values.map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
planned_tasks = st.builds(
    PlannedTask,
    seq=counts,
    task_seq=st.integers(-(2**53), 2**53),
    program=text,
    priority=st.integers(-20, 19),
    queue=text,
    depends_on=st.lists(counts, max_size=3).map(tuple),
    parameters=st.dictionaries(text, json_values, max_size=3),
)
events: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(LogOpened, at=counts, installation=text, generation=counts, partition=counts),
    st.builds(
        FlowRegistered,
        at=counts,
        flow=text,
        v=counts,
        workflow=text,
        order=counts,
        tasks=st.lists(planned_tasks, max_size=3).map(tuple),
    ),
    st.builds(
        TaskStarted, at=counts, flow=text, v=counts, task=counts, attempt=counts, lease=text, worker=text
    ),
    st.builds(
        TaskFinished,
        at=counts,
        flow=text,
        v=counts,
        task=counts,
        attempt=counts,
        lease=text,
        result=results,
        ends=st.booleans(),
    ),
    st.builds(
        TaskSuspended,
        at=counts,
        flow=text,
        v=counts,
        task=counts,
        attempt=counts,
        lease=text,
        error=st.builds(TaskError, type=text, message=text, traceback=text),
    ),
    st.builds(TaskReturned, at=counts, flow=text, v=counts, task=counts, attempt=counts, lease=text),
    st.builds(
        TaskLapsed,
        at=counts,
        flow=text,
        v=counts,
        task=counts,
        attempt=counts,
        lease=text,
        worker=text,
        lost=counts,
    ),
    st.builds(OutcomeRefused, at=counts, flow=text, task=counts, lease=text, worker=text, outcome=text),
)


@given(events)
def test_an_event_survives_encoding(event: AnyEvent) -> None:
    assert decode_event(encode_event(event)) == event


def test_what_is_the_default_is_not_written() -> None:
    event = TaskFinished(at=1, flow=FLOW, v=3, task=1, attempt=1, lease="5-0")
    raw = encode_event(event)
    assert b"ends" not in raw
    assert b"result" not in raw
    assert decode_event(raw) == event


def test_a_result_is_kept_as_the_bytes_that_came() -> None:
    raw = (
        b'{"type":"task.finished","at":1,"flow":"f","v":3,"task":1,"attempt":1,"lease":"5-0",'
        b'"result":{"pi": 3.10,  "big":123456789012345678901234567890}}'
    )
    event = decode_event(raw)
    assert isinstance(event, TaskFinished)
    assert bytes(event.result) == b'{"pi": 3.10,  "big":123456789012345678901234567890}'


def test_an_event_of_an_unknown_type_is_from_a_newer_version() -> None:
    with pytest.raises(NewerEventError, match=r"'task\.teleported' is unknown to Flower \d.*Upgrade"):
        decode_event(b'{"type":"task.teleported","at":1,"whatever":[]}')


def test_a_field_that_a_newer_version_added_is_tolerated() -> None:
    raw = b'{"why":{"a":1},"type":"task.returned","at":1,"flow":"f","v":3,"task":1,"attempt":1,"lease":"5-0"}'
    assert decode_event(raw) == TaskReturned(at=1, flow="f", v=3, task=1, attempt=1, lease="5-0")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"type":"task.returned","at":1}',  # fields are missing
        b'{"type":"task.returned","at":"1","flow":"f","v":3,"task":1,"attempt":1,"lease":"5-0"}',
        b'{"type":"task.finished","at":1,"flow":"f","v":3,"task":1,"attempt":1,"lease":"5-0","ends":1}',
        b'{"type":"flow.registered","at":1,"flow":"f","v":1,"workflow":"w","order":0,"tasks":[{}]}',
        b'{"type":7,"at":1}',
        b'{"type":null}',
        b'{"at":1}',
        b"[]",
        b"null",
    ],
)
def test_a_damaged_event_is_not_taken_for_a_newer_one(raw: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_event(raw)


@pytest.mark.parametrize("raw", [b"", b"{", b'{"type":"task.returned"', b'{"type":"x"} trailing', b"\xff"])
def test_bytes_that_are_no_json_are_refused_as_such(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_event(raw)


@given(st.binary(max_size=40))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, NewerEventError)):
        decode_event(raw)
