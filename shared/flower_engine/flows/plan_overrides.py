"""Registrations that differ from their workflow's definition: a plan of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.errors import ParameterFault, ParametersError
from flower_engine.flows.bound_plans import FlowValues, bound_by_default
from flower_engine.flows.given_parameters import among_references, given_to, own_name
from flower_engine.flows.live_programs import Versions
from flower_engine.model.definitions.definition import PlannedTask, with_parameters
from flower_engine.model.definitions.flow_parameters import too_many
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short
from flower_engine.model.values.storable import problems_of_parameters
from flower_engine.model.waits.wait_parameters import DECISION, MAP, RETURNS, SUBFLOW
from flower_engine.programs.signature import Signature
from flower_engine.transitions.register_transition import FlowPlan

_MOST_FAULTS = 100
_MOST_NAMED = 20
_FIXED = (DECISION, MAP, SUBFLOW, RETURNS)  # none of their parameters is one that is given by name
Parameters = Mapping[str, Any]


def overridden(
    plan: FlowPlan,
    parameters: Parameters,
    of_tasks: Mapping[str, Parameters],
    priority: int | None,
    versions: Versions,
) -> FlowPlan:
    """The plan with other parameters and another priority for all tasks.

    ``parameters`` are those that the workflow's flows take, where it says so; else each replaces a parameter
    in every task that defines it. ``of_tasks`` sets parameters of single tasks, by taskSeq or name.
    ``versions``: what the programs take.

    Raises:
        ParametersError: the flow's parameters are not what its workflow takes, no task defines a parameter,
            there is no such task, or a program cannot take what it would be given; names all of that.
    """
    if not parameters and not of_tasks and priority is None:
        return bound_by_default(plan)
    faults: list[ParameterFault] = []
    of_tasks = _by_number(plan, of_tasks, faults) if of_tasks else of_tasks
    faults += faults_of(parameters, "#/parameters")
    for seq, own in of_tasks.items():
        faults += faults_of(own, f"#/taskParameters/{short(seq)}")
    flow = FlowValues(plan, parameters, versions)
    parameters = flow.others
    unused = dict.fromkeys(parameters)
    sizes = {name: len(msgspec.json.encode(value)) for name, value in parameters.items()}
    size_bytes = 0
    by_folded: dict[str, list[str]] = {}
    for name in parameters:
        by_folded.setdefault(name.casefold(), []).append(name)
    tasks: list[PlannedTask] = []
    for unbound in plan.planned:
        task = flow.bind(unbound)
        own = of_tasks.get(str(task.task_seq), {})
        mine = _meant_for(task, by_folded, versions.get(task.program))
        for name in mine:
            unused.pop(name, None)
            size_bytes += sizes[name]
        for_all = {name: parameters[name] for name in mine}
        values, found = _values_for(task, for_all, own, versions.get(task.program))
        faults += found
        if len(faults) + len(flow.faults) > _MOST_FAULTS:
            break
        tasks.append(
            msgspec.structs.replace(
                with_parameters(task, {**task.parameters, **values}) if values else task,
                priority=task.priority if priority is None else priority,
            )
        )
    defined = [task.parameters for task in plan.planned if task.program not in _FIXED]
    names = {name for parameters in defined for name in parameters} if unused else set[str]()
    if len(faults) + len(flow.faults) > _MOST_FAULTS:
        unused.clear()  # not every task was looked at
    faults += [
        ParameterFault(
            detail=f"no task of workflow {plan.workflow!r} defines a parameter {name!r}; set it for one task"
            f" with taskParameters{nearest_in_words(name, names)}",
            pointer="#/parameters",
        )
        for name in unused
    ]
    faults += flow.faults + too_many(size_bytes, "#/parameters")
    if faults:
        raise ParametersError(faults[:_MOST_FAULTS])
    return plan.with_tasks([plan.keying.keyed(task) for task in tasks], flow.values)


def _by_number(
    plan: FlowPlan, of_tasks: Mapping[str, Parameters], faults: list[ParameterFault]
) -> dict[str, Parameters]:
    """What is given for tasks, by taskSeq; what fits no task is added to ``faults``."""
    seqs = {str(task.task_seq): str(task.task_seq) for task in plan.planned}
    names = {task.task_name: str(task.task_seq) for task in plan.planned if task.task_name is not None}
    found: dict[str, Parameters] = {}
    for task, given in of_tasks.items():
        seq = seqs.get(task) or names.get(task)
        if seq is None:
            detail = f"workflow {plan.workflow!r} has no task {short(task)!r}; it has {_known(plan)}"
            faults.append(
                ParameterFault(detail=detail + nearest_in_words(task, names), pointer="#/taskParameters")
            )
        elif seq in found:
            detail = f"task {short(task)!r} is taskSeq {seq}, for which parameters are given already"
            faults.append(ParameterFault(detail=detail, pointer=f"#/taskParameters/{short(task)}"))
        else:
            found[seq] = given
    return found


def _meant_for(
    task: PlannedTask, by_folded: Mapping[str, Sequence[str]], versions: Sequence[Signature] | None
) -> list[str]:
    """The names given that are those of parameters which the task defines; none of what is decided."""
    if task.program in _FIXED:
        return []
    return [
        name
        for own in task.parameters
        for name in by_folded.get(own.casefold(), ())
        if own_name(name, task.parameters, versions) == own
    ]


def _values_for(
    task: PlannedTask, for_all: Parameters, own: Parameters, versions: Sequence[Signature] | None
) -> tuple[dict[str, Any], list[ParameterFault]]:
    """What the task is given, by its own names, and what is wrong with it."""
    values: dict[str, Any] = {}
    faults: list[ParameterFault] = []
    for pointer, part in (("#/parameters", for_all), (f"#/taskParameters/{task.task_seq}", own)):
        if not part:
            continue
        given = given_to(task.program, task.parameters, part, (), versions)
        if task.refs:
            given = among_references(given)
        values |= given.values
        faults += [
            ParameterFault(f"taskSeq {task.task_seq}: {problem.detail}", pointer + problem.place)
            for problem in given.problems
        ]
    return values, faults


def faults_of(parameters: Parameters, pointer: str) -> list[ParameterFault]:
    """What the tables could not keep of these parameters."""
    return [
        ParameterFault(detail=f"it {problem}", pointer=pointer)
        for problem in problems_of_parameters(parameters)
    ]


def _known(plan: FlowPlan) -> str:
    """The tasks of the plan, by taskSeq and name; some of very many."""
    shown = [
        str(task.task_seq) if task.task_name is None else f"{task.task_seq} ({task.task_name})"
        for task in plan.planned[:_MOST_NAMED]
    ]
    return ", ".join(shown) + (", ..." if len(plan.planned) > len(shown) else "")
