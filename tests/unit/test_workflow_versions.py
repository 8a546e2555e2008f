"""The canonical JSON of a definition, and the hash that names a version."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.errors import DefinitionError
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition
from flower_engine.model.definitions.workflow_versions import definition_of, number_or_prefix, version_of
from flower_engine.model.tasks.task_spec import RetryPolicy
from unit.definitions import definitions

_PLAIN = WorkflowDefinition(name="w", tasks=(TaskDefinition(task_seq=1, program="A"),))


def test_what_has_its_default_is_not_said() -> None:
    said = version_of(_PLAIN).canonical
    assert said == '{"taskId":"w","tasks":[{"program":"A","taskSeq":1}]}'


def test_the_same_definition_has_the_same_hash_however_it_is_put() -> None:
    one = WorkflowDefinition(
        name="w",
        tasks=(
            TaskDefinition(task_seq=1, program="A", parameters={"b": 1, "a": {"y": -0.0, "x": 1e16}}),
            TaskDefinition(task_seq=2, program="B", depends_on=()),
            TaskDefinition(task_seq=3, program="C", depends_on=(2, 1), retry=RetryPolicy(max_attempts=2)),
        ),
    )
    other = msgspec.structs.replace(
        one,
        tasks=(
            msgspec.structs.replace(one.tasks[2], depends_on=(1, 2)),
            msgspec.structs.replace(one.tasks[0], parameters={"a": {"x": 1e16, "y": 0.0}, "b": 1}),
            one.tasks[1],
        ),
    )
    assert version_of(one) == version_of(other)
    assert len(version_of(one).hash) == 64


def test_no_dependency_and_the_previous_task_are_not_the_same() -> None:
    both = [
        msgspec.structs.replace(_PLAIN, tasks=(TaskDefinition(task_seq=1, program="A", depends_on=depends),))
        for depends in (None, ())
    ]
    assert version_of(both[0]).hash != version_of(both[1]).hash


def test_a_whole_number_and_a_float_are_not_the_same_parameter() -> None:
    hashes = {
        version_of(
            msgspec.structs.replace(
                _PLAIN, tasks=(TaskDefinition(task_seq=1, program="A", parameters={"n": value}),)
            )
        ).hash
        for value in (1, 1.0, True, "1")
    }
    assert len(hashes) == 4


@given(definitions())
def test_a_definition_comes_back_from_its_canonical_json(definition: WorkflowDefinition) -> None:
    version = version_of(definition)
    again = definition_of(definition.name, version.canonical)
    assert version_of(again) == version
    assert sorted(again.tasks, key=lambda task: task.task_seq) == list(again.tasks)


def test_what_a_newer_flower_said_is_refused() -> None:
    with pytest.raises(DefinitionError, match="colour"):
        definition_of("w", '{"taskId":"w","tasks":[{"program":"A","taskSeq":1,"colour":"red"}]}')


@pytest.mark.parametrize(
    ("which", "meant"),
    [
        ("1", 1),
        ("9999999", 9_999_999),
        ("12345678", "12345678"),
        ("abcdef01", "abcdef01"),
        ("0", None),
        ("abc", None),
        ("ABCDEF01", None),
        ("x" * 64, None),
        ("\N{ARABIC-INDIC DIGIT ONE}", None),
        ("1\n", None),
        ("a" * 65, None),
        ("", None),
    ],
)
def test_a_version_is_named_by_its_number_or_how_its_hash_begins(which: str, meant: int | str | None) -> None:
    assert number_or_prefix(which) == meant


@given(st.text(max_size=70))
def test_whatever_is_said_for_a_version_is_judged(which: str) -> None:
    assert number_or_prefix(which) is None or number_or_prefix(which)
