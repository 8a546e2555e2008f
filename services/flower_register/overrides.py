"""Registrations that differ from their workflow's definition: a plan of their own."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flower_engine.log.registering import FlowPlan
from flower_engine.model.definition import PlannedTask
from flower_engine.projection.definitions import problems_of_parameters
from flower_register.problems import Fault, short, with_faults

Parameters = Mapping[str, Any]


def overridden(
    plan: FlowPlan, parameters: Parameters, of_tasks: Mapping[str, Parameters], priority: int | None
) -> FlowPlan:
    """The plan with other parameters and another priority for all tasks.

    ``parameters`` replaces a parameter in every task that defines it; ``of_tasks`` sets parameters of single
    tasks, by taskSeq.

    Raises:
        ProblemError: no task defines a parameter, or there is no such task; names all of them.
    """
    if not parameters and not of_tasks and priority is None:
        return plan
    names = {name for task in plan.planned for name in task.parameters}
    seqs = {str(task.task_seq) for task in plan.planned}
    faults = [
        Fault(
            detail=f"no task of workflow {plan.workflow!r} defines a parameter {short(name)!r}; set it for"
            " one task with taskParameters",
            pointer="#/parameters",
        )
        for name in parameters
        if name not in names
    ]
    faults += [
        Fault(
            detail=f"workflow {plan.workflow!r} has no taskSeq {short(seq)!r}; it has {_some(seqs)}",
            pointer="#/taskParameters",
        )
        for seq in of_tasks
        if seq not in seqs
    ]
    faults += faults_of(parameters, "#/parameters")
    for seq, own in of_tasks.items():
        faults += faults_of(own, f"#/taskParameters/{short(seq)}")
    if faults:
        raise with_faults("parameters", "the parameters do not fit", faults)
    tasks = [
        _overridden(task, parameters, of_tasks.get(str(task.task_seq), {}), priority) for task in plan.planned
    ]
    keyed = [plan.keying.keyed(task) for task in tasks]
    return FlowPlan(plan.workflow, keyed, timeout_ms=plan.timeout_ms, keying=plan.keying)


def faults_of(parameters: Parameters, pointer: str) -> list[Fault]:
    """What the tables could not keep of these parameters."""
    return [Fault(detail=f"it {problem}", pointer=pointer) for problem in problems_of_parameters(parameters)]


def _overridden(
    task: PlannedTask, parameters: Parameters, own: Parameters, priority: int | None
) -> PlannedTask:
    merged = {name: parameters.get(name, value) for name, value in task.parameters.items()}
    return msgspec.structs.replace(
        task, parameters=merged | dict(own), priority=task.priority if priority is None else priority
    )


def _some(names: set[str]) -> str:
    shown = sorted(names, key=lambda name: (len(name), name))[:20]
    return ", ".join(shown) + (", ..." if len(names) > len(shown) else "")
