"""The JSON Schema of a workflow's parameters, from the annotations of its function."""

import inspect
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from flower_engine.authoring.given_values import Given, ValueFault, json_of
from flower_engine.errors import DefinitionError
from flower_engine.programs.json_schemas import SECRET_MARK, schemas_of
from flower_engine.programs.parameter_conversion import type_name

Secret = Annotated[str, msgspec.Meta(extra_json_schema={SECRET_MARK: True})]
"""The type of a workflow's parameter that takes the NAME of a secret: ``token: Secret``. Programs get the
secret itself, as text."""


def parameters_schema(workflow: str, parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The schema of an object with these parameters; descriptions come from the types' docstrings.

    Raises:
        DefinitionError: a type has no schema, or a default no JSON form; names the parameter.
    """
    annotations = [one.annotation for one in parameters.values()]
    schemas, definitions = _schemas_of(workflow, dict(zip(parameters, annotations, strict=True)))
    properties = dict(zip(parameters, schemas, strict=True))
    for name, parameter in parameters.items():
        if parameter.default is not parameter.empty:
            properties[name] = {**properties[name], "default": _default(workflow, parameter)}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    required = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    if definitions:
        schema["$defs"] = definitions
    return schema


def _default(workflow: str, parameter: inspect.Parameter) -> Any:
    try:
        given = Given(parameter.default)
        given.check(parameter.annotation)
        return json_of(parameter.default)
    except ValueFault as fault:
        raise DefinitionError(
            workflow, [f"the default of its parameter {parameter.name!r} {fault}"]
        ) from fault


def _schemas_of(workflow: str, annotations: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Schemas of parameters by their annotations, and what they refer to."""
    try:
        return schemas_of(list(annotations.values()))
    except Exception as error:
        for name, annotation in annotations.items():
            try:
                schemas_of([annotation])
            except Exception as fault:
                problem = f"its parameter {name!r}, {type_name(annotation)}, has no JSON Schema: {fault}"
                raise DefinitionError(workflow, [problem]) from fault
        problem = f"two types of its parameters have one name, {error}; rename one"
        raise DefinitionError(workflow, [problem]) from error
