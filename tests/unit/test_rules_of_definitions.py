"""Rules and what follows failures, as definitions say them: taken apart, refused by row, warned about."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.errors import DefinitionError
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.definitions.definition_differences import differences
from flower_engine.model.definitions.rule_checks import MAX_STAND_IN_BYTES
from flower_engine.model.definitions.rule_warnings import warnings_of_rules
from flower_engine.model.definitions.task_message import message_of
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.model.definitions.workflow_versions import definition_of, plain_document, version_of
from flower_engine.model.tasks.rule_texts import held_for, hold_ms, known_rule, normal_on_failure
from flower_engine.model.tasks.rules import Rule
from flower_engine.model.tasks.task_spec import MAX_DURATION_MS


def task(seq: int, *depends_on: int, **said: Any) -> TaskDefinition:
    return TaskDefinition(task_seq=seq, task_name=f"t{seq}", program="Noop", depends_on=depends_on, **said)


def workflow(*tasks: TaskDefinition) -> WorkflowDefinition:
    return WorkflowDefinition(name="w", tasks=tasks)


def problems_of(*tasks: TaskDefinition) -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        plan_flow(workflow(*tasks))
    return refused.value.problems


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *[("ready", Rule("ready")), ("any", Rule("at_least", 1)), ("at_least:12", Rule("at_least", 12))],
        *[
            (wrong, None)
            for wrong in ("", "all", "at_least", "at_least:0", "at_least:x", "Any", "at_least:2 ")
        ],
    ],
)
def test_a_rule_is_taken_apart(text: str, rule: Rule | None) -> None:
    assert known_rule(text) == rule


@given(st.integers(1, MAX_DURATION_MS))
def test_a_time_of_holding_comes_back_as_it_was(ms: int) -> None:
    assert hold_ms(held_for(ms)) == ms
    assert normal_on_failure(held_for(ms)) == held_for(ms)
    assert normal_on_failure(f"hold:{ms}ms") == held_for(ms)


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        *[("hold:2h", "hold:7200"), ("hold:1h30m", "hold:5400"), ("hold:007.500", "hold:7.5")],
        *[(same, same) for same in ("hold", "give_up", "pass", "hold:soon", "hold:", "", "hold:-5")],
    ],
)
def test_what_people_write_is_stored_in_seconds(said: str, stored: str) -> None:
    assert normal_on_failure(said) == stored


def test_a_definition_without_rules_is_byte_for_byte_what_it_was() -> None:
    plain = workflow(task(1), task(2, 1))
    canonical = version_of(plain).canonical
    assert canonical == (
        '{"taskId":"w","tasks":[{"dependsOn":[],"program":"Noop","taskName":"t1","taskSeq":1},'
        '{"dependsOn":[1],"program":"Noop","taskName":"t2","taskSeq":2}]}'
    )
    for planned in plan_flow(plain):
        for written in (msgspec.json.encode(planned), msgspec.json.encode(message_of("w", planned))):
            assert not {"rule", "on_failure", "stand_in"} & msgspec.json.decode(written).keys()


def test_a_version_keeps_rules_as_they_were_said() -> None:
    said = workflow(
        task(1, on_failure="pass", stand_in=[1.0, {"x": None}]),
        task(2, on_failure="hold:7200"),
        task(3, 1, 2, rule="any"),
    )
    assert definition_of("w", version_of(said).canonical) == said
    assert '"standIn":[1.0,{"x":null}]' in version_of(said).canonical


def test_differences_of_rules_are_told() -> None:
    old = plain_document(workflow(task(1), task(2, 1)))
    new = plain_document(workflow(task(1, on_failure="hold:7200"), task(2, 1, rule="settled")))
    assert [one.text for one in differences(old, new)] == [
        "task 1 t1: onFailure unset -> hold:2h",
        'task 2 t2: rule unset -> "settled"',
    ]


def test_durations_of_holding_are_normal_in_a_document() -> None:
    document = {"taskId": "w", "tasks": [{"taskSeq": 1, "program": "A", "onFailure": "hold:2h"}]}
    (defined,) = msgspec.convert(document, WorkflowDocument).to_model().tasks
    assert defined.on_failure == "hold:7200"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            {"rule": "all"},
            " has the rule 'all', which is none of ready, finished, settled, any, at_least:<k>",
        ),
        ({"rule": "at_least:3"}, " has the rule 'at_least:3' but depends on 2 only"),
        (
            {"on_failure": "retry"},
            " has on_failure 'retry', which is none of hold, hold:<time>, give_up",
        ),
        ({"on_failure": "hold:soon"}, " has on_failure 'hold:soon', which is none of hold, hold:<time>"),
        ({"on_failure": "hold:0"}, " has on_failure 'hold:0'; the time must be more than 0 and at most ten"),
        ({"on_failure": "hold:999999999999"}, " has on_failure 'hold:999999999999'; the time must be more"),
        ({"stand_in": 1}, " has a stand_in with on_failure 'hold': one stands in with 'pass' only"),
        (
            {"stand_in": {"a": {"$from": "t1"}}, "on_failure": "pass"},
            " has a stand_in with a reference in",
        ),
        ({"stand_in": float("nan"), "on_failure": "pass"}, " has a stand_in that is NaN"),
        ({"stand_in": "\0", "on_failure": "pass"}, " has a stand_in that holds a NUL"),
        (
            {"stand_in": "x" * MAX_STAND_IN_BYTES, "on_failure": "pass"},
            f" has a stand_in of {MAX_STAND_IN_BYTES + 2} bytes of JSON; give at most {MAX_STAND_IN_BYTES}",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_row(said: dict[str, Any], problem: str) -> None:
    (told,) = problems_of(task(1), task(2), task(3, 1, 2, **said))
    assert told.startswith("row (task_id 'w', task_seq 3)" + problem)


@pytest.mark.parametrize("rule", ["settled", "any", "at_least:1", "failed"])
def test_a_rule_about_dependencies_needs_some(rule: str) -> None:
    told = problems_of(TaskDefinition(task_seq=1, program="A", rule=rule))
    assert f"has the rule {rule!r} but depends on no task: say which in depends_on" in told[0]
    plan_flow(workflow(task(1), TaskDefinition(task_seq=2, program="A", rule=rule)))  # on the one before


def test_a_task_whose_value_is_taken_is_one_that_is_counted() -> None:
    takes = {"a": {"$from": "t1", "optional": True}, "b": {"$from": "t2", "default": 0}}
    plan_flow(workflow(task(1), task(2), task(3, rule="at_least:2", parameters=takes)))


@pytest.mark.parametrize("rule", ["settled", "any", "at_least:1", "failed"])
def test_a_value_that_is_needed_must_be_certain(rule: str) -> None:
    takes = {"a": {"$from": "t1"}, "b": [{"$from": "t2"}], "c": {"$from": "t1", "optional": True}}
    told = problems_of(task(1), task(2), task(3, rule=rule, parameters=takes))
    assert [one.split(": it needs")[0] for one in told] == [
        "row (task_id 'w', task_seq 3): parameters/a",
        "row (task_id 'w', task_seq 3): parameters/b/0",
    ]
    for certain in ("ready", "finished"):
        plan_flow(workflow(task(1), task(2), task(3, rule=certain, parameters=takes)))


def test_what_waits_for_a_decision_though_it_is_to_run_in_any_case_is_warned_about() -> None:
    tasks = (task(1), task(2, 1, on_failure="give_up"), task(3, 2, rule="settled"))
    (warning,) = warnings_of_rules(workflow(*tasks))
    assert "task_seq 3) has the rule 'settled', but waits for somebody's decision when task_seq 1" in warning


@pytest.mark.parametrize("on_failure", ["give_up", "pass", "hold:60"])
def test_there_is_no_warning_where_every_failure_ends(on_failure: str) -> None:
    said = {"on_failure": on_failure}
    tasks = (task(1, **said), task(2, 1, **said), task(3, 2, rule="settled"))
    assert warnings_of_rules(workflow(*tasks)) == []


def test_there_is_no_warning_where_a_task_hears_of_what_is_held() -> None:
    tasks = (task(1), task(2, 1, rule="failed", on_failure="pass"), task(3, 2, rule="settled"))
    assert warnings_of_rules(workflow(*tasks)) == []
    assert warnings_of_rules(workflow(task(1), task(2, 1, rule="failed"))) == []


@pytest.mark.parametrize("rule", ["ready", "settled"])
def test_there_is_no_warning_about_what_cleans_up_however_somebody_decides(rule: str) -> None:
    tasks = (task(1), task(2, 1, rule="settled"), task(3, 2, rule=rule, finally_=True))
    (warning,) = warnings_of_rules(workflow(*tasks))
    assert "task_seq 2) has the rule 'settled'" in warning
    assert warnings_of_rules(workflow(task(1), task(2, 1, rule=rule, finally_=True))) == []
