"""The JSON Schema of a workflow's parameters, from the annotations of its function."""

import inspect
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, cast, get_args, get_origin

import msgspec

from flower_engine.authoring.given_values import ValueFault, json_of
from flower_engine.errors import DefinitionError

_REF = "#/$defs/{name}"
SECRET_MARK = "x-flower-secret"

Secret = Annotated[str, msgspec.Meta(extra_json_schema={SECRET_MARK: True})]
"""The type of a workflow's parameter that takes the NAME of a secret: ``token: Secret``. Programs get the
secret itself, as text."""


def _is_secret(annotation: Any) -> bool:
    metas = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return any(
        isinstance(one, msgspec.Meta) and SECRET_MARK in (one.extra_json_schema or {}) for one in metas
    )


def parameters_schema(workflow: str, parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The schema of an object with these parameters; descriptions come from the types' docstrings.

    Raises:
        DefinitionError: a type has no schema, or a default no JSON form; names the parameter.
    """
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, parameter in parameters.items():
        try:
            properties[name] = _schema_of(parameter.annotation, definitions)
            if parameter.default is not parameter.empty:
                properties[name] = {**properties[name], "default": json_of(parameter.default)}
        except (TypeError, ValueFault) as error:
            raise DefinitionError(workflow, [f"its parameter {name!r} has no JSON form: {error}"]) from error
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    required = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if required:
        schema["required"] = required
    schema["additionalProperties"] = False
    if definitions:
        schema["$defs"] = definitions
    return schema


def _schema_of(annotation: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if annotation in (inspect.Parameter.empty, Any, object):
        return {}
    members = get_args(annotation)
    if type(None) in members and any(_is_secret(one) for one in members):
        return {"type": ["string", "null"], SECRET_MARK: True}  # of the parameter as a whole
    found: list[dict[str, Any]] = []

    def of_other_types(kind: type) -> dict[str, Any]:
        return _schema_of_other(kind, found)

    (schema,), components = msgspec.json.schema_components(
        [annotation], schema_hook=of_other_types, ref_template=_REF
    )
    definitions.update(components)
    for one in found:
        definitions.update(one)
    return schema


def _schema_of_other(kind: type, definitions: list[dict[str, Any]]) -> dict[str, Any]:
    """The schema of a type that msgspec does not know: paths, and pydantic's models by their method."""
    if issubclass(kind, PurePath):
        return {"type": "string"}
    make = getattr(cast(Any, kind), "model_json_schema", None)
    if make is None:
        raise TypeError(f"nothing is known of the JSON of {kind.__qualname__}")
    schema = cast("dict[str, Any]", make(ref_template="#/$defs/{model}"))
    definitions.append(schema.pop("$defs", {}))
    return schema
