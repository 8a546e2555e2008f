"""Checks the parameters that somebody sets on a task, or removes from it, against what its program takes.

A name is found as in binding: the task's own name for it, whatever its case, is the one that changes, so that
no parameter is given twice.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from flower_engine.model.parameters.references import escaped, holds_references
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.waits.wait_parameters import DECISION, MAP, RETURNS, SUBFLOW
from flower_engine.programs.signature import Signature
from flower_engine.programs.value_faults import Fault, faults_of_value

_SHOWN_CHARACTERS = 100
_OF_DECISION = (
    f"the condition of a decision ({DECISION}) is part of its definition, and no parameter to be given:"
    " change what it reads, or define another version"
)
_OF_MAP = (
    f"what a map ({MAP}) goes over, and what it gives its items, is part of its definition, and no parameter"
    " to be given: change what it reads, make it a parameter of the flow ($param), or define another version"
)
_OF_SUBFLOW = (
    f"what a sub-flow ({SUBFLOW}) is given is part of its definition, and no parameter to be given: give"
    " other parameters to the flow, or rerun its child"
)
_OF_RETURNS = f"what a child returns ({RETURNS}) is part of its workflow's definition"
_FIXED = {DECISION: _OF_DECISION, MAP: _OF_MAP, SUBFLOW: _OF_SUBFLOW, RETURNS: _OF_RETURNS}
Parameters = Mapping[str, Any]


class Problem(NamedTuple):
    """Why something that is given cannot be; ``place`` leads to it among what is given (JSON Pointer)."""

    detail: str
    place: str = ""


class Given(msgspec.Struct, frozen=True):
    """What is to change: parameters by the task's own names for them, and those to take away.

    ``problems``: why it cannot be; ``unknown``: names of which nobody can say whether the program takes them.
    """

    values: dict[str, Any]
    unset: list[str]
    problems: list[Problem]
    unknown: list[str]


def given_to(
    program: str,
    parameters: Parameters,
    values: Parameters,
    unset: Collection[str],
    versions: Sequence[Signature] | None,
) -> Given:
    """What these values and names mean for a task of the program that has these parameters.

    A name is refused if no live version of the program takes it, a value if none can convert it, or the
    schema that each publishes refuses it for sure.
    """
    if program in _FIXED:
        refusal = _FIXED[program]
        return Given({}, [], [Problem(refusal, pointer_to(name)) for name in (*values, *unset)], [])
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    unknown: list[str] = []
    for name, value in values.items():
        own = own_name(name, parameters, versions)
        if own in found:
            twice = f"the parameter {own!r} is given twice, the second time as {name!r}"
            problems.append(Problem(twice, pointer_to(name)))
            continue
        found[own] = value
        found_problems = _problems_of_value(program, parameters, name, value, versions)
        if found_problems:
            problems += found_problems
        elif versions is None and own not in parameters:
            unknown.append(name)
    gone: list[str] = []
    for name in unset:
        own = own_name(name, parameters, versions)
        if own not in parameters:
            has = f"it has {', '.join(parameters)}" if parameters else "it has none"
            near = nearest_in_words(name, parameters)
            problems.append(Problem(f"the task has no parameter {name!r} to take away; {has}{near}"))
        elif own in found:
            problems.append(Problem(f"the parameter {own!r} is given and taken away"))
        else:
            gone.append(own)
    left = {name for name in parameters if name not in gone} | found.keys()
    problems += map(Problem, _missing(program, gone, left, versions))
    return Given(found, gone, problems, unknown)


def among_references(given: Given) -> Given:
    """The same for a task whose parameters hold references: what is given stays data.

    What would ask for a result or a secret is a problem: whoever gives parameters may not.
    """
    problems = [
        Problem(
            f"the parameter {name!r} is given as data: {key} stands in definitions only", pointer_to(name)
        )
        for name, value in given.values.items()
        for key in ("$from", "$secret")
        if holds_references(value, {key})
    ]
    values = {name: escaped(value) for name, value in given.values.items()}
    return Given(values, given.unset, [*given.problems, *problems], given.unknown)


def own_name(name: str, parameters: Collection[str], versions: Sequence[Signature] | None) -> str:
    """The task's own name for a parameter: as given, or as the task has it in another case."""
    if name in parameters:
        return name
    folded = name.casefold()
    alike = [own for own in parameters if own.casefold() == folded and _is_same(own, name, versions)]
    return alike[0] if len(alike) == 1 else name


def _is_same(one: str, other: str, versions: Sequence[Signature] | None) -> bool:
    """Whether two names that differ in case are one parameter: to some version, or two to none."""
    bound = [(version.bound(one), version.bound(other)) for version in versions or ()]
    is_taken = any(first is not None or second is not None for first, second in bound)
    return not is_taken or any(first is not None and first == second for first, second in bound)


def _problems_of_value(
    program: str, parameters: Parameters, name: str, value: Any, versions: Sequence[Signature] | None
) -> list[Problem]:
    if versions is None:
        return []
    taking = [version for version in versions if version.bound(name) is not None]
    if not taking:
        names = dict.fromkeys(one for version in versions for one in version.parameters)
        takes = f"it takes {', '.join(names)}" if names else "it takes none"
        near = nearest_in_words(name, [*parameters, *names])
        return [Problem(f"program {program!r} has no parameter {name!r}; {takes}{near}", pointer_to(name))]
    by_words = [version for version in taking if version.takes(name, value)]
    faults: list[Fault] = []
    for version in by_words:
        faults = faults_of_value(version, version.bound(name) or name, value)
        if not faults:
            return []
    if faults:
        return [
            Problem(value_problem(program, name, place, said), pointer_to(name) + place)
            for place, said in faults
        ]
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "..."
    wanted = " or ".join(dict.fromkeys(version.words(name) for version in taking))
    said = f"program {program!r}: parameter {name!r} has the value {shown}, which is no {wanted}"
    return [Problem(said, pointer_to(name))]


def value_problem(program: str, name: str, place: str, said: str) -> str:
    """The sentence for what the schema of a program's parameter says of a place in its value."""
    return f"program {program!r}: parameter {name!r}{f' at {place}' if place else ''}: {said}"


def _missing(
    program: str, gone: Collection[str], left: Collection[str], versions: Sequence[Signature] | None
) -> list[str]:
    """What is taken away though every live version needs it."""
    if not versions or not gone:
        return []
    needed = [set(version.required) - {version.bound(name) for name in left} for version in versions]
    by_all = needed[0].intersection(*needed[1:])
    taken = {version.bound(name) for version in versions for name in gone}
    return [
        f"program {program!r} needs the parameter {name!r}"
        for name in sorted(name for name in by_all if name in taken)
    ]
