"""What is different between two definitions, in words and as data."""

from typing import Any

import pytest
from hypothesis import given

from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.definition_differences import differences, duration_in_words
from flower_engine.model.definitions.workflow_versions import plain_document, version_of
from unit.definitions import definitions


def _texts(old: list[dict[str, Any]], new: list[dict[str, Any]], **whole: Any) -> list[str]:
    return [
        one.text for one in differences({"taskId": "w", "tasks": old}, {"taskId": "w", "tasks": new, **whole})
    ]


def test_tasks_are_the_same_by_name_and_else_by_number() -> None:
    old = [
        {"taskSeq": 1, "taskName": "a", "program": "A"},
        {"taskSeq": 2, "program": "B"},
        {"taskSeq": 3, "taskName": "c", "program": "C"},
    ]
    new = [
        {"taskSeq": 1, "taskName": "first", "program": "A"},
        {"taskSeq": 2, "taskName": "a", "program": "A"},
        {"taskSeq": 4, "program": "B"},
    ]
    assert _texts(old, new) == [
        "+ task 1 first A",
        "+ task 4 B",
        "- task 2 B",
        "- task 3 c C",
        "task 2 a: taskSeq 1 -> 2",
    ]


def test_a_task_that_is_given_a_name_stays_the_task() -> None:
    named = {"taskSeq": 1, "taskName": "a", "program": "A"}
    assert _texts([{"taskSeq": 1, "program": "A"}], [named]) == ['task 1 a: taskName unset -> "a"']


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ({"timeoutSeconds": 300}, {"timeoutSeconds": 600}, "timeout 5m -> 10m"),
        ({}, {"queueTimeoutSeconds": 0.25}, "queueTimeout unset -> 0.25s"),
        ({"taskPriority": 5}, {}, "priority 5 -> unset"),
        ({"parameters": {"waitSeconds": 60}}, {"parameters": {}}, "parameters.waitSeconds 60 -> unset"),
        ({"parameters": {"n": 1}}, {"parameters": {"n": True}}, "parameters.n 1 -> true"),
        (
            {"parameters": {"n": {"$from": "a"}}},
            {"parameters": {"n": {"$from": "b"}}},
            'parameters.n {"$from":"a"} -> {"$from":"b"}',
        ),
        (
            {"retry": {"maxAttempts": 3}},
            {"retry": {"maxAttempts": 3, "delaySeconds": 5}},
            "retry.delay unset -> 5s",
        ),
        ({"dependsOn": []}, {"dependsOn": [1]}, "dependsOn [] -> [1]"),
    ],
)
def test_a_field_is_told_with_what_it_was_and_is(old: Any, new: Any, text: str) -> None:
    task = {"taskSeq": 2, "program": "A"}
    assert _texts([task | old], [task | new]) == [f"task 2: {text}"]


def test_what_holds_for_the_whole_workflow_comes_first() -> None:
    task = {"taskSeq": 1, "program": "A"}
    found = _texts([task], [task | {"program": "B"}], timeoutSeconds=90, labels={"team": "dwh"})
    assert found == ['labels unset -> {"team":"dwh"}', "timeout unset -> 1m30s", 'task 1: program "A" -> "B"']


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (1, "1s"), (60, "1m"), (90, "1m30s"), (3600, "1h"), (90_061, "1d1h1m1s"), (0.25, "0.25s")],
)
def test_durations_are_told_as_people_write_them(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words


@given(definitions(), definitions())
def test_nothing_is_different_just_where_the_hash_is_the_same(
    old: WorkflowDefinition, new: WorkflowDefinition
) -> None:
    found = differences(plain_document(old), plain_document(new))
    assert bool(found) is (version_of(old).hash != version_of(new).hash)
    assert not differences(plain_document(new), plain_document(new))
    assert all(one.text for one in found)
