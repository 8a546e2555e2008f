"""Tasks that decide (program ``@when``), and the branches that begin with what they say.

A decision is a task without a worker's program: its parameter ``condition`` comes to true or false. A branch
is a task with ``when: [decision, true or false]``: it starts if the decision says just that, and is passed
over if not. That is an edge of its own; whatever else the task waits for follows its rule.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from flower_engine.model.decisions.condition_text import ConditionTextError, condition_of_text
from flower_engine.model.decisions.condition_writing import text_of_condition
from flower_engine.model.decisions.conditions import problems_of_condition, with_params
from flower_engine.model.parameters.references import scan
from flower_engine.model.tasks.task_spec import TaskSpec
from flower_engine.model.values.quoting import short
from flower_engine.model.waits.wait_parameters import DECISION

CONDITION = "condition"
SAYS_TRUE = b'{"is":true'
"""How the result of a decision begins that came to true, as it is written; Postgres gives it back with
spaces."""
_TRUE = re.compile(rb'\s*\{\s*"is"\s*:\s*true\b')
LETTERS = {True: "t", False: "f", None: ""}
"""What stands behind the status of a decision that has finished, by what it came to."""


LEAST_RESULTS = {"t": b'{"is":true,"values":{}}', "f": b'{"is":false,"values":{}}'}
"""Results of decisions of which nothing else is known any more."""


def says_true(result: object) -> bool | None:
    """What a decision came to by its result (JSON); None: it has none."""
    return _TRUE.match(result) is not None if isinstance(result, bytes) else None


def with_tree(program: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a task; of a decision with its condition as a tree, where it is a text.

    Raises:
        ConditionTextError: it is none.
    """
    text = parameters.get(CONDITION)
    if program != DECISION or not isinstance(text, str):
        return dict(parameters)
    return {**parameters, CONDITION: condition_of_text(text)}


def said_trees(row: str, program: str, parameters: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """The same for a row; what is wrong is added to ``problems``."""
    try:
        return with_tree(program, parameters)
    except ConditionTextError as error:
        problems.append(f"{row}: the condition {short(repr(parameters[CONDITION]))} {error}")
        return dict(parameters)


def condition_in_words(program: str, parameters: Mapping[str, Any]) -> str:
    """The condition of a decision as text; "": it is none, or none that is right."""
    tree = parameters.get(CONDITION)
    if program != DECISION or isinstance(tree, str) or problems_of_condition(tree):
        return ""
    try:
        return text_of_condition(tree)
    except (LookupError, TypeError):  # a reference in it is none
        return ""


def with_text(document: dict[str, Any]) -> dict[str, Any]:
    """A task of a document with its condition as text, where the text gives the same tree again."""
    parameters: dict[str, Any] = document.get("parameters", {})
    text = condition_in_words(document["program"], parameters)
    try:
        is_same = bool(text) and condition_of_text(text) == parameters[CONDITION]
    except ConditionTextError:  # it is longer than a text may be
        is_same = False
    return {**document, "parameters": {**parameters, CONDITION: text}} if is_same else document


def bound_condition(parameters: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A decision's parameters with those of its flow."""
    return {CONDITION: with_params(parameters.get(CONDITION), values)}


def problems_of_decisions(
    workflow: str, tasks: Sequence[TaskSpec], secrets: Collection[str]
) -> Iterator[str]:
    """What is wrong with decisions and branches, as sentences that name the row. ``secrets``: parameters of
    the flow that are names of secrets."""
    by_seq = {task.task_seq: task for task in tasks}
    for task in tasks:
        row = f"row (task_id {workflow!r}, task_seq {task.task_seq})"
        if task.program == DECISION:
            yield from (f"{row}{problem}" for problem in _of_decision(task, secrets))
        if task.when is not None:
            yield from (f"{row} {problem}" for problem in _of_branch(task, by_seq))


def _of_decision(task: TaskSpec, secrets: Collection[str]) -> Iterator[str]:
    if CONDITION not in task.parameters:
        yield f" is a decision ({DECISION}) and has no parameter {CONDITION!r}"
        return
    for name in task.parameters:
        if name != CONDITION:
            yield f" is a decision ({DECISION}), which has no parameter {short(name)!r} but its {CONDITION!r}"
    tree = task.parameters[CONDITION]
    yield from (f": {CONDITION}{problem}" for problem in problems_of_condition(tree))
    for name in sorted(scan(tree).params.keys() & set(secrets)):
        yield f": {CONDITION}: the parameter {name!r} is a secret, and a condition tells what it saw"
    said = {"retry": task.retry, "a timeout": task.timeout_ms, "a queue timeout": task.queue_timeout_ms}
    for what, value in said.items():
        if value is not None:
            yield f" is a decision ({DECISION}), which no worker runs: it has no {what.removeprefix('a ')}"


def _of_branch(task: TaskSpec, by_seq: Mapping[int, TaskSpec]) -> Iterator[str]:
    assert task.when is not None
    decision = by_seq.get(task.when[0])
    if decision is None:
        yield f"is a branch of task_seq {task.when[0]}, which does not exist"
    elif decision is task:
        yield "is a branch of itself"
    elif decision.program != DECISION:
        yield (
            f"is a branch of task_seq {decision.task_seq}, which is no decision: its program is"
            f" {short(decision.program)!r}, not {DECISION}"
        )
