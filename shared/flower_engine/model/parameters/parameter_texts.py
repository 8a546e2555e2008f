"""Parameters as people type them: texts, read as what the schema of the workflow's parameters asks for."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec

from flower_engine.model.parameters.schema_walk import target_of

_MOST_FOLLOWED = 1_000
_BY_KIND: dict[Any, str] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    dict: "object",
    list: "array",
}


def value_of_text(text: str, schema: Mapping[str, Any] | None, name: str) -> Any:
    """The value that a text means for a parameter; ``schema`` None: there is none.

    A parameter that may be a text takes it as it is ("null" where it may be null, too); any other one as
    JSON, if it can be read so.
    """
    types = set(_types(schema, name)) if schema is not None else set[str]()
    if "string" in types:
        return None if text == "null" and "null" in types else text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def _types(root: Mapping[str, Any], name: str) -> Iterator[str]:
    """The types that a parameter may have, as far as the schema says some."""
    properties = root.get("properties")
    left: list[Any] = [cast("dict[str, Any]", properties).get(name)] if isinstance(properties, dict) else []
    for _ in range(_MOST_FOLLOWED):
        if not left:
            return
        part = left.pop()
        if not isinstance(part, dict):
            continue
        schema = cast("dict[str, Any]", part)
        kinds = schema.get("type")
        yield from [kinds] if isinstance(kinds, str) else cast("list[str]", kinds or [])
        for values in (schema.get("enum", []), [schema["const"]] if "const" in schema else []):
            for value in cast("list[Any]", values):
                yield _BY_KIND.get(cast("Any", type(value)), "null")
        for key in ("anyOf", "oneOf", "allOf"):
            left += cast("list[Any]", schema.get(key, []))
        if "$ref" in schema:
            left.append(target_of(root, schema))
