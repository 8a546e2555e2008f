"""What of a definition's rules may be meant otherwise: nothing is refused for it."""

from collections.abc import Sequence

from flower_engine.model.definitions.definition import (
    PlannedTask,
    WorkflowDefinition,
    dependents_of,
    plan_flow,
)
from flower_engine.model.tasks.rule_texts import HOLD
from flower_engine.model.tasks.rules import SETTLED, rule_of

_MOST = 20


def warnings_of_rules(definition: WorkflowDefinition) -> list[str]:
    """Tasks that are to run however those before them end, but wait as long as one of these is held. What
    cleans up is none of them: however somebody decides on what is held, also by a cancel, it runs then.

    The definition is one that :func:`plan_flow` takes.
    """
    if not any(task.rule == SETTLED and not task.finally_ for task in definition.tasks):
        return []
    tasks = plan_flow(definition)
    held = _held_before(tasks)
    return [
        f"row (task_id {definition.name!r}, task_seq {task.task_seq}) has the rule 'settled', but waits for"
        f" somebody's decision when task_seq {tasks[before - 1].task_seq} fails, which is then held: give"
        " that the on_failure 'give_up', 'pass', or 'hold:' with a time"
        for task in tasks
        if task.rule == SETTLED and not task.finally_ and (before := held[task.seq])
    ][:_MOST]


def _held_before(tasks: Sequence[PlannedTask]) -> list[int]:
    """For each task 1..n one before it whose failure keeps it waiting until somebody decides; 0: none."""
    dependents = dependents_of(tasks)
    left = [0, *(len(task.depends_on) for task in tasks)]
    free = [task.seq for task in tasks if not task.depends_on]
    held = [0] * (len(tasks) + 1)
    while free:
        task = tasks[free.pop() - 1]
        waits = not rule_of(task.rule).picks  # else it may start before a dependency that is held
        before = task.seq if task.on_failure == HOLD else held[task.seq] if waits else 0
        for dependent in dependents[task.seq]:
            held[dependent] = held[dependent] or before
            left[dependent] -= 1
            if not left[dependent]:
                free.append(dependent)
    return held
