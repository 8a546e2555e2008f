"""JSON Schemas of types, as annotations name them: what the JSON of their values looks like."""

import inspect
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any, cast, get_args, get_origin

import msgspec

from flower_engine.blobs.blob import Blob

SECRET_MARK = "x-flower-secret"

_REF = "#/$defs/{name}"
_NO_NAME = re.compile(r"[^A-Za-z0-9_.]+")


def schemas_of(
    annotations: Sequence[Any], *, of_results: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Their schemas, and what these refer to (``$defs``). All in one, as types of one name from two modules
    are told apart only so. ``of_results``: as values are written, where that differs from how they are read.

    Raises:
        Exception: a type has no schema; or two have one name. What it is depends on the types.
    """
    definitions: dict[str, Any] = {}

    def of_other_types(kind: type) -> dict[str, Any]:
        return _schema_of_other(kind, definitions, of_results=of_results)

    found, components = msgspec.json.schema_components(
        [_known(annotation) for annotation in annotations], schema_hook=of_other_types, ref_template=_REF
    )
    definitions.update(components)
    return [dict(one) for one in found], definitions


def is_secret(annotation: Any) -> bool:
    """Whether a parameter of this type takes the name of a secret."""
    metas = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return any(
        isinstance(one, msgspec.Meta) and SECRET_MARK in (one.extra_json_schema or {}) for one in metas
    )


def _known(annotation: Any) -> Any:
    """The annotation as msgspec takes it. Of a secret that may be left out the whole parameter is one."""
    if annotation in (inspect.Parameter.empty, object):
        return Any
    members = get_args(annotation)
    if type(None) in members and any(is_secret(one) for one in members):
        return Annotated[str | None, msgspec.Meta(extra_json_schema={SECRET_MARK: True})]
    return annotation


def _schema_of_other(kind: type, definitions: dict[str, Any], *, of_results: bool) -> dict[str, Any]:
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
    how: dict[str, Any] = {"ref_template": f"#/$defs/{prefix}.{{model}}"}
    if of_results:
        by_alias = bool(cast(Any, kind).model_config.get("serialize_by_alias"))
        how |= {"mode": "serialization", "by_alias": by_alias}
    schema = cast("dict[str, Any]", make(**how))
    definitions.update({f"{prefix}.{name}": one for name, one in schema.pop("$defs", {}).items()})
    return schema
