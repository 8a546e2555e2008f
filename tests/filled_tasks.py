"""A task of which everything is said that can be said of one, made from the fields of TaskSpec."""

from typing import Any, get_args, get_origin

from flower_engine.model.definitions.definition import (
    PlannedTask,
    TaskDefinition,
    WorkflowDefinition,
    plan_flow,
)
from flower_engine.model.tasks.field_types import SPEC_FIELDS, SpecField
from flower_engine.model.tasks.task_spec import RetryPolicy

RETRY = RetryPolicy(
    max_attempts=3, delay_ms=250, backoff=1.5, max_delay_ms=60_000, jitter=0.25, no_retry_on=("ValueError",)
)
_BY_NAME: dict[str, Any] = {
    "task_seq": 20,
    "task_name": "its_own_name",
    "priority": -7,
    "depends_on": (10,),
    "when": (30, True),
    "rule": "at_least:1",
    "on_failure": "pass",
    "stand_in": {"rows": [0, 2.5, None]},
}
_BY_TYPE: dict[Any, Any] = {
    str: "its own",
    int: 7,
    float: 1.25,
    bool: True,
    RetryPolicy: RETRY,
}


def other_than_the_default(field: SpecField) -> Any:
    """A value of the field that is neither its default nor that of another text."""
    if field.name in _BY_NAME:
        return _BY_NAME[field.name]
    if field.is_duration:
        return 61_000
    if get_origin(field.type) is dict:
        return {"TABLE": "orders", "ROWS": [1, 2.5, None]}
    if get_origin(field.type) is tuple:
        return (_BY_TYPE[get_args(field.type)[0]],)
    value = _BY_TYPE[field.type]
    return f"{field.name} of {value}" if isinstance(value, str) else value


def filled_definition(name: str = "filled") -> WorkflowDefinition:
    """A task without anything, then one with everything; its ``seq`` is 2 in a flow; then its decision."""
    values = {field.name: other_than_the_default(field) for field in SPEC_FIELDS.values()}
    del values["seq"]
    first = TaskDefinition(task_seq=10, program="A", depends_on=())
    decision = TaskDefinition(
        task_seq=30, program="@when", depends_on=(), parameters={"condition": ["eq", 1, 1]}
    )
    return WorkflowDefinition(name=name, tasks=(first, TaskDefinition(**values), decision))


def filled_task() -> PlannedTask:
    """The second of these, planned."""
    return plan_flow(filled_definition())[1]
