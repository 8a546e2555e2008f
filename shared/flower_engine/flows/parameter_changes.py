"""Changes of tasks' parameters that a rerun or a fork is asked for, checked before anything happens."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.errors import ParameterFault, ParametersError
from flower_engine.flows.given_parameters import Given, among_references, given_to
from flower_engine.flows.live_programs import Versions
from flower_engine.flows.plan_overrides import faults_of
from flower_engine.model.values.quoting import short

_MOST_FAULTS = 100


class Change(msgspec.Struct, frozen=True):
    """Parameters to set, and names of those to take away: ``of_any``: from those tasks that have them,
    ``unset``: from this one, which must. ``pointer`` leads to them in the body."""

    values: dict[str, Any]
    unset: list[str]
    of_any: list[str]
    pointer: str


def asked_changes(
    tasks: Sequence[int],
    parameters: Mapping[str, Any],
    of_tasks: Mapping[str, Mapping[str, Any]],
    unset: Sequence[str],
) -> dict[int, Change]:
    """What a body asks for, by task: ``parameters`` and ``unset`` for all of the tasks.

    Raises:
        ParametersError: it is for tasks that are not named, or the tables could not keep it.
    """
    faults = faults_of(parameters, "#/parameters")
    for name, given in (("parameters", parameters), ("unset", unset)):
        if given and not tasks:
            detail = f"{name} need tasks: name those they are for"
            faults.append(ParameterFault(detail=detail, pointer=f"#/{name}"))
    changes: dict[int, Change] = {}
    if parameters or unset:
        for task in tasks:
            changes[task] = Change(dict(parameters), [], list(dict.fromkeys(unset)), "#/parameters")
    named = {str(task): task for task in tasks}
    for seq, own in of_tasks.items():
        pointer = f"#/taskParameters/{short(seq)}"
        task = named.get(seq)
        if task is None:
            detail = f"task {short(seq)!r} is not among the tasks named"
            faults.append(ParameterFault(detail=detail, pointer=pointer))
            continue
        faults += faults_of(own, pointer)
        before = changes.get(task)
        values = {**before.values, **own} if before else dict(own)
        changes[task] = Change(values, [], before.of_any if before else [], pointer)
    if faults:
        raise ParametersError(faults)
    return changes


def checked_changes(
    tasks: Mapping[int, tuple[str, Mapping[str, Any], bool]],
    changes: Mapping[int, Change],
    versions: Versions,
) -> dict[int, Given]:
    """The changes as they fit the tasks (by number: program, parameters, whether these hold references).

    Raises:
        ParametersError: a task or its program cannot take them; names all that is wrong.
    """
    found: dict[int, Given] = {}
    faults: list[ParameterFault] = []
    untaken = {name for change in changes.values() for name in change.of_any}
    for seq, change in changes.items():
        program, parameters, refs = tasks[seq]
        has = {name.casefold() for name in parameters}
        unset = [*change.unset, *(name for name in change.of_any if name.casefold() in has)]
        given = given_to(program, parameters, change.values, unset, versions.get(program))
        untaken.difference_update(unset)
        found[seq] = among_references(given) if refs else given
        faults += [
            ParameterFault(detail=f"task {seq}: {problem.detail}", pointer=change.pointer + problem.place)
            for problem in found[seq].problems
        ]
        if len(faults) > _MOST_FAULTS:
            raise ParametersError(faults[:_MOST_FAULTS])
    for name in sorted(untaken):
        own = sorted({one for seq in changes for one in tasks[seq][1]})
        has_words = f"they have {', '.join(own)}" if own else "they have none"
        detail = f"none of the tasks has a parameter {name!r} to take away; {has_words}"
        faults.append(ParameterFault(detail=detail, pointer="#/unset"))
    if faults:
        raise ParametersError(faults)
    return found


def warnings_of(programs: Mapping[int, str], given: Mapping[int, Given]) -> list[str]:
    """What could not be checked, each as a sentence."""
    return [
        f"task {seq}: no live worker says what program {programs[seq]!r} takes, so nobody knows whether it"
        f" takes {', '.join(map(repr, one.unknown))}"
        for seq, one in sorted(given.items())
        if one.unknown
    ]
