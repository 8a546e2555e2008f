"""The arguments of a step: by name, and each as the type of its parameter wants it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, get_args, get_origin

from flower_engine.authoring.given_values import Given, ValueFault, form_of_target, json_of
from flower_engine.authoring.lists_together import Lists
from flower_engine.authoring.ref import Target
from flower_engine.authoring.result_types import NONE_GIVEN, takes_none
from flower_engine.model.definitions.map_tasks import FLAT, ZIPPED
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.noun_counts import are, counted
from flower_engine.model.values.type_names import type_name
from flower_engine.programs.parameter_binding import is_context, read_signature

_GATHERS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class StepSignature(NamedTuple):
    """``parameters`` by name, without the context; ``extra``: that of ``**``; ``result``: its annotation."""

    parameters: dict[str, inspect.Parameter]
    extra: inspect.Parameter | None
    result: Any


def step_signature(program: str, function: Callable[..., Any]) -> StepSignature:
    """What a program takes of a step.

    Raises:
        ProgramError: its signature cannot be read.
    """
    signature = read_signature(program, function)
    parameters = [one for one in signature.parameters.values() if not is_context(one.annotation)]
    extra = next((one for one in parameters if one.kind is one.VAR_KEYWORD), None)
    named = {one.name: one for one in parameters if one.kind not in (*_GATHERS, one.POSITIONAL_ONLY)}
    return StepSignature(named, extra, signature.return_annotation)


def bound_arguments(
    called: str, signature: StepSignature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments by the names of their parameters.

    Raises:
        ValueFault: one is missing, given twice, or unknown.
    """
    names = [one.name for one in signature.parameters.values() if one.kind is not one.KEYWORD_ONLY]
    if len(args) > len(names):
        raise ValueFault(
            f"{called} takes {counted(len(names), 'argument')} by position, and {len(args)} are given;"
            f" {_known(signature)}"
        )
    arguments: dict[str, Any] = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name in arguments:
            raise ValueFault(f"{called}: {name!r} is given twice, by position and by name")
        if name not in signature.parameters and signature.extra is None:
            near = nearest_in_words(name, signature.parameters)
            raise ValueFault(f"{called} has no parameter {name!r}{near}; {_known(signature)}")
        arguments[name] = value
    missing = [
        name
        for name, one in signature.parameters.items()
        if one.default is one.empty and name not in arguments
    ]
    if missing:
        raise ValueFault(
            f"{called} needs {', '.join(map(repr, missing))}, which {are(len(missing))} not given;"
            f" {_known(signature)}"
        )
    return arguments


def written_argument(called: str, parameter: inspect.Parameter, value: object) -> tuple[Any, list[Target]]:
    """The JSON of an argument, and the references in it.

    An argument that is a reference itself may do without its producer's result where its parameter has a
    default or takes None: that is the kind of its edge.

    Raises:
        ValueFault: it does not fit the parameter's type, or has no JSON form.
    """
    try:
        given = Given(value)
        given.check(parameter.annotation)

        def form(target: Target, is_whole: bool) -> dict[str, Any]:
            if not is_whole:
                return form_of_target(target)
            default = _default_of(parameter)
            optional = parameter.default is None or takes_none(parameter.annotation)
            return form_of_target(target, optional=optional, default=default)

        return given.written(form), given.targets
    except ValueFault as fault:
        raise ValueFault(f"{called}: its parameter {parameter.name!r} {fault}") from fault


def written_elements(
    called: str, parameter: inspect.Parameter, value: object
) -> tuple[Any, list[Target], dict[str, Any]]:
    """The JSON of a list whose elements a parameter takes one by one, the references in it, and how it is to
    be read where it holds lists.

    Raises:
        ValueFault: it is no list of what fits the parameter's type, or has no JSON form.
    """
    annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
    try:
        if not isinstance(value, Lists):
            return *_written_list(value, list[annotation]), {}
        if value.how == "flat":
            return *_written_list(value.lists[0], list[list[annotation]]), {FLAT: True}
        written = [
            _written_list(one, list[member])
            for one, member in zip(value.lists, _members(annotation, len(value.lists)), strict=True)
        ]
        over = [one for one, _ in written]
        return over, [target for _, found in written for target in found], {ZIPPED: True}
    except ValueFault as fault:
        raise ValueFault(f"{called}: what is mapped over its parameter {parameter.name!r} {fault}") from fault


def _written_list(value: object, annotation: Any) -> tuple[Any, list[Target]]:
    given = Given(value)
    given.check(annotation)
    return given.written(lambda target, _: form_of_target(target)), given.targets


def _members(annotation: Any, count: int) -> Sequence[Any]:
    """The types of what a parameter takes of so many lists side by side."""
    if annotation is Any:
        return [Any] * count
    members = get_args(annotation) if get_origin(annotation) is tuple else ()
    if len(members) != count or Ellipsis in members:
        raise ValueFault(f"is {count} lists side by side, which do not fit {type_name(annotation)}")
    return members


def _default_of(parameter: inspect.Parameter) -> Any:
    """What its parameter has of its own, where that is JSON, and not None."""
    if parameter.default is parameter.empty or parameter.default is None:
        return NONE_GIVEN
    try:
        given = Given(parameter.default)
        given.check(parameter.annotation)
        return json_of(parameter.default)
    except ValueFault:
        return NONE_GIVEN


def _known(signature: StepSignature) -> str:
    names = [
        name if one.default is one.empty else f"{name} (optional)"
        for name, one in signature.parameters.items()
    ]
    return "it takes " + (", ".join(names) or "no parameters")
