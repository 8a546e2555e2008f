"""What a JSON Schema of results says of a path into them. In doubt the path leads somewhere."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from flower_engine.model.parameters.schema_walk import target_of
from flower_engine.model.values.quoting import short

_INDEX = re.compile(r"0|[1-9][0-9]{0,15}")
_MOST_BRANCHES = 100  # of a schema that somebody wrote, none of ours
_ANYTHING: Mapping[str, Any] = {}
_WORDS = {
    **{"object": "an object", "array": "a list", "string": "a text", "null": "null"},
    **{"integer": "a number", "number": "a number", "boolean": "true or false"},
}

Schema = Mapping[str, Any]


class _DoubtError(Exception):
    """The schema says what is not followed here."""


def missing_in(schema: Schema, pointer: str) -> str | None:
    """Why no value of this schema has anything at the JSON Pointer, as the end of a sentence; None: one may.

    An object whose members are named has no others: schemas are made of types.
    """
    here: list[Schema] = [schema]
    passed = ""
    try:
        for token in pointer.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            branches = [leaf for one in here for leaf in _branches(schema, one, 0)]
            if len(branches) > _MOST_BRANCHES:
                return None
            here = [found for leaf in branches for found in _step(leaf, name)]
            if not here:
                where = f"at {short(passed)!r} there" if passed else "it"
                return f"{where} is {' or '.join(dict.fromkeys(map(_in_words, branches)))}"
            passed += "/" + token
    except _DoubtError:
        return None
    return None


def _branches(root: Schema, schema: Schema, depth: int) -> Iterator[Schema]:
    """The schemas of which a value has one, without references."""
    if depth > _MOST_BRANCHES:
        raise _DoubtError
    if "$ref" in schema:
        target = target_of(root, schema)
        if not isinstance(target, dict):
            raise _DoubtError
        yield from _branches(root, cast("Schema", target), depth + 1)
        return
    for key in ("anyOf", "oneOf", "allOf"):
        members = schema.get(key)
        if members is None:
            continue
        if not isinstance(members, list) or (key == "allOf" and len(cast("list[Any]", members)) != 1):
            raise _DoubtError
        for member in cast("list[Any]", members):
            if not isinstance(member, dict):
                raise _DoubtError
            yield from _branches(root, cast("Schema", member), depth + 1)
        return
    kinds = schema.get("type")
    if isinstance(kinds, list):
        for kind in cast("list[Any]", kinds):
            yield {**schema, "type": kind}
    else:
        yield schema


def _step(schema: Schema, name: str) -> list[Schema]:
    kind = schema.get("type")
    if kind == "object":
        return _member(schema, name)
    if kind == "array":
        return _item(schema, int(name)) if _INDEX.fullmatch(name) else []
    if kind is None:
        scalars = schema.get("enum", [schema["const"]] if "const" in schema else None)
        is_scalar = isinstance(scalars, list) and not any(
            isinstance(one, dict | list) for one in cast("list[Any]", scalars)
        )
        return [] if is_scalar else [_ANYTHING]
    return []


def _member(schema: Schema, name: str) -> list[Schema]:
    properties = schema.get("properties")
    if isinstance(properties, dict) and name in properties:
        return _known(cast("Schema", properties)[name])
    if "patternProperties" in schema:
        return [_ANYTHING]
    others = schema.get("additionalProperties", not properties)
    return _known(others)


def _item(schema: Schema, index: int) -> list[Schema]:
    most = schema.get("maxItems")
    if isinstance(most, int) and index >= most:
        return []
    first = schema.get("prefixItems")
    if isinstance(first, list) and index < len(cast("list[Any]", first)):
        return _known(cast("list[Any]", first)[index])
    return _known(schema.get("items", True))


def _known(schema: Any) -> list[Schema]:
    """A part of a schema, which may be true or false as well."""
    if isinstance(schema, dict):
        return [cast("Schema", schema)]
    return [] if schema is False else [_ANYTHING]


def _in_words(schema: Schema) -> str:
    kind = schema.get("type")
    properties = schema.get("properties")
    if kind == "object" and isinstance(properties, dict):
        names = [short(name) for name in cast("Schema", properties)]
        return f"an object with {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
    if kind == "array" and isinstance(schema.get("maxItems"), int):
        return f"a list of at most {schema['maxItems']}"
    return _WORDS.get(str(kind), "one of certain values")
