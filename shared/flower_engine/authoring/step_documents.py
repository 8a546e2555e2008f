"""What a step is given and what is said of it, as the document of a workflow has it."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import msgspec

from flower_engine.authoring.given_values import Given, ValueFault, form_of_target
from flower_engine.authoring.program_steps import (
    StepSignature,
    bound_arguments,
    written_argument,
    written_elements,
)
from flower_engine.authoring.ref import Target
from flower_engine.authoring.result_types import NoMemberError, field_of
from flower_engine.model.definitions.child_flows import WORKFLOW
from flower_engine.model.definitions.map_tasks import AS, KEY, LIMIT, OVER, PARAMETERS, PROGRAM, TOLERATE
from flower_engine.model.definitions.workflow_document import RetryDocument
from flower_engine.model.values.json_pointer import pointer_to

_SECONDS = {"timeout": "timeoutSeconds", "queue_timeout": "queueTimeoutSeconds"}
_AS_THEY_ARE = {
    "queue": "queue",
    "priority": "taskPriority",
    "units": "units",
    "max_rounds": "maxRounds",
    "rule": "rule",
    "on_failure": "onFailure",
    "stand_in": "standIn",
    "finally_": "finally",
}
_OF_MAPS = {"limit": LIMIT, "tolerate": TOLERATE}


class Called(NamedTuple):
    """What a step calls: in words, the program of its task, what it takes, the workflow of a child, whether
    it runs for each element of a list."""

    words: str
    program: str
    signature: StepSignature
    workflow: str | None = None
    is_map: bool = False


def written_arguments(
    step: Called, arguments: tuple[tuple[Any, ...], Mapping[str, Any]]
) -> tuple[dict[str, Any], list[Target]]:
    """What a step, or a map, is given as its parameters, and the references in that."""
    called, program, signature, workflow, is_map = step
    if is_map and not arguments[0]:
        raise ValueFault(
            f"{called}: .map(...) takes the list that it goes over as its first argument, by position"
        )
    bound = bound_arguments(called, signature, *arguments)
    mapped = next(iter(bound)) if is_map else ""
    parameters: dict[str, Any] = {}
    targets: list[Target] = []
    over: Any = None
    how: dict[str, Any] = {}
    for name, value in bound.items():
        parameter = signature.parameters.get(name) or cast(Any, signature.extra).replace(name=name)
        if name == mapped:
            over, found, how = written_elements(called, parameter, value)
        else:
            parameters[name], found = written_argument(called, parameter, value)
        targets.extend(found)
    if is_map:
        others = {PARAMETERS: parameters} if parameters else {}
        runs = {PROGRAM: program} if workflow is None else {WORKFLOW: workflow}
        parameters = {OVER: over, **runs, AS: mapped, **others, **how}
    return parameters, targets


def bounds_of_map(step: Called, options: Mapping[str, Any]) -> dict[str, Any]:
    """What options say of the items of a map."""
    given = {_OF_MAPS[name]: value for name, value in options.items() if name in _OF_MAPS}
    if "key" in options:
        given[KEY] = _key_pointer(step, options["key"]) if step.is_map else ""
    if not step.is_map and (given or "aligned" in options):
        name = next(iter(given), "aligned")
        raise ValueFault(f"{step.words}: {name}=... is of items: write it for .map(...)")
    return given


def _key_pointer(step: Called, key: str) -> str:
    """Where in an element its key stands, as definitions have it."""
    parameter = next(iter(step.signature.parameters.values()), None)
    if key == "" or key.startswith("/") or parameter is None:
        return key
    annotation: Any = Any if parameter.annotation is parameter.empty else parameter.annotation
    steps: list[str | int] = []
    for name in key.split("."):
        try:
            found = field_of(annotation, name)
        except NoMemberError as error:
            raise ValueFault(f"{step.words}: key={key!r} is no field of its elements: {error}") from error
        steps.append(found.step)
        annotation = found.annotation
    return pointer_to(*steps)


def written_value(name: str, value: object) -> tuple[Any, list[Target]]:
    """The JSON of what a wait is given, and the references in it."""
    try:
        given = Given(value)
        return given.written(lambda target, _: form_of_target(target)), given.targets
    except ValueFault as fault:
        raise ValueFault(f"its {name!r} {fault}") from fault


def written_stand_in(value: object, annotation: Any) -> Any:
    """The JSON of what takes the place of a result of this type."""
    try:
        given = Given(value)
        given.check(annotation)
        if given.targets:
            raise ValueFault(f"holds {given.targets[0].shown}, a reference, where only a constant can stand")
    except ValueFault as fault:
        raise ValueFault(f"stand_in {fault}") from fault
    return given.plain


def said_of_options(options: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for option, value in options.items():
        if option in _SECONDS:
            said[_SECONDS[option]] = seconds(value)
        elif option in _AS_THEY_ARE:
            said[_AS_THEY_ARE[option]] = value
        elif option == "retry":
            said["retry"] = msgspec.to_builtins(RetryDocument.of(value))
    return said


def seconds(ms: int) -> float:
    """As documents have durations: whole seconds without a point."""
    return ms // 1000 if ms % 1000 == 0 else ms / 1000
