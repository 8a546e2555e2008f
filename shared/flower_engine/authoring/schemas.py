"""The JSON Schema of a workflow's parameters, from the annotations of its function."""

import inspect
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Annotated, Any, cast, get_args, get_origin

import msgspec

from flower_engine.authoring.given_values import Given, ValueFault, json_of
from flower_engine.blobs.blob import Blob
from flower_engine.errors import DefinitionError
from flower_engine.programs.parameter_conversion import type_name

_REF = "#/$defs/{name}"
_NO_NAME = re.compile(r"[^A-Za-z0-9_.]+")
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
    """Schemas of parameters by their annotations, and what they refer to. All in one, as types of one name
    from two modules are told apart only so."""
    definitions: dict[str, Any] = {}

    def of_other_types(kind: type) -> dict[str, Any]:
        return _schema_of_other(kind, definitions)

    def schemas(*kinds: Any) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
        return msgspec.json.schema_components(
            [_known(kind) for kind in kinds], schema_hook=of_other_types, ref_template=_REF
        )

    try:
        found, components = schemas(*annotations.values())
    except Exception as error:
        for name, annotation in annotations.items():
            try:
                schemas(annotation)
            except Exception as fault:
                problem = f"its parameter {name!r}, {type_name(annotation)}, has no JSON Schema: {fault}"
                raise DefinitionError(workflow, [problem]) from fault
        problem = f"two types of its parameters have one name, {error}; rename one"
        raise DefinitionError(workflow, [problem]) from error
    definitions.update(components)
    return [dict(one) for one in found], definitions


def _known(annotation: Any) -> Any:
    """The annotation as msgspec takes it. Of a secret that may be left out the whole parameter is one."""
    if annotation in (inspect.Parameter.empty, object):
        return Any
    members = get_args(annotation)
    if type(None) in members and any(_is_secret(one) for one in members):
        return Annotated[str | None, msgspec.Meta(extra_json_schema={SECRET_MARK: True})]
    return annotation


def _schema_of_other(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type that msgspec does not know: paths, blobs, pydantic's models by their method."""
    if issubclass(kind, PurePath):
        return {"type": "string"}
    if issubclass(kind, Blob):
        return {"type": "object", "required": ["$blob"], "properties": {"$blob": {"type": "object"}}}
    make = getattr(cast(Any, kind), "model_json_schema", None)
    if make is None:
        raise TypeError(f"nothing is known of the JSON of {kind.__qualname__}")
    # What a model refers to stands under its own name: another model may know another type of that name.
    prefix = _NO_NAME.sub("_", f"{kind.__module__}.{kind.__qualname__}")
    schema = cast("dict[str, Any]", make(ref_template=f"#/$defs/{prefix}.{{model}}"))
    definitions.update({f"{prefix}.{name}": one for name, one in schema.pop("$defs", {}).items()})
    return schema
