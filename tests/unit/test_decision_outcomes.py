"""What becomes of a decision, whoever decides it."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.decisions.condition_text import condition_of_text
from flower_engine.model.decisions.decision_tasks import SAYS_TRUE
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.maps.decision_outcomes import outcome_of
from flower_engine.model.tasks.task_error import TaskError


def message(condition: Any) -> TaskMessage:
    tree = condition_of_text(condition) if isinstance(condition, str) else condition
    return TaskMessage(
        workflow="w", task_seq=3, program="@when", parameters={"condition": tree}, reads={"total": 1, "2": 2}
    )


def error_of(payload: bytes) -> TaskError:
    return msgspec.json.decode(payload, type=TaskError)


def test_its_result_says_what_it_came_to_and_what_it_saw() -> None:
    found = outcome_of(message("total.bad > 2"), {1: b'{"bad":3}'})
    assert found.says is True
    assert found.payload == b'{"is":true,"values":{"total.bad":3}}'
    found = outcome_of(message("total.bad > 3 or task(2) == null"), {1: b'{"bad":3}', 2: b"7"})
    assert found == (False, b'{"is":false,"values":{"total.bad":3,"task(2)":7}}')


def test_what_cannot_be_decided_is_an_error_that_says_why() -> None:
    found = outcome_of(message("total.bad > 2"), {1: b'{"bad":"x"}'})
    error = error_of(found.payload)
    assert found.says is None
    assert error.type == "ConditionError"
    assert error.message == (
        'total.bad > 2: the text "x" does not compare with the number 2: numbers compare with numbers, and'
        " texts with texts"
    )
    missing = error_of(outcome_of(message("total.bad > 2"), {1: b"{}"}).payload)
    assert missing.type == "MissingInputError"
    assert "'/bad' of the result of task total" in missing.message


def test_a_result_that_was_passed_over_is_none() -> None:
    assert outcome_of(message("is_none(total.bad)"), {1: None}).says is True
    assert outcome_of(message("is_none(total.bad)"), {}).says is True


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just({"$from": "total"}),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.lists(inner, min_size=1, max_size=3).map(lambda parts: ["and", *parts])
            | st.lists(inner, min_size=2, max_size=2).map(lambda parts: ["gt", *parts])
        ),
        max_leaves=8,
    ),
    st.sampled_from([None, b"3", b"[]", b'{"bad":1}', b"not json"]),
)
def test_whatever_a_condition_is_it_comes_to_something(tree: Any, content: bytes | None) -> None:
    found = outcome_of(message(["eq", tree, 1] if isinstance(tree, str) else tree), {1: content})
    assert found.payload.startswith(SAYS_TRUE) is (found.says is True)
    assert found.says is not None or error_of(found.payload).message is not None
