"""What is refused of a JSON Schema before a validator sees it: whatever could make a check endless.

A reference leads to another part of the same schema, and never in a circle; and with all references put in
place of what they name, the schema must not be larger than a validator gets through at once.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import unquote

from flower_engine.model.values.json_pointer import NotThereError, pointer_to, problem_of_pointer, value_at
from flower_engine.model.values.quoting import short

MAX_PARTS = 5_000
_MAX_DEPTH = 100
_REFUSED = (
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "$vocabulary",
)
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONES = (
    *("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"),
    *("unevaluatedItems", "unevaluatedProperties", "contentSchema"),
)

Schema = Mapping[str, Any]


class SchemaError(ValueError):
    """A schema is refused; the message begins with the place (JSON Pointer)."""


def parts_of(schema: Schema, at: str = "") -> Iterator[tuple[str, Schema]]:
    """The schemas that a schema consists of, each with its place; references are not followed."""
    for key in _MAPS:
        if isinstance(members := schema.get(key), dict):
            for name, part in cast("dict[str, Any]", members).items():
                if isinstance(part, dict):
                    yield f"{at}/{key}{pointer_to(name)}", part
    for key in _LISTS:
        if isinstance(items := schema.get(key), list):
            for index, part in enumerate(cast("list[Any]", items)):
                if isinstance(part, dict):
                    yield f"{at}/{key}/{index}", part
    for key in _ONES:
        if isinstance(part := schema.get(key), dict):
            yield f"{at}/{key}", cast("dict[str, Any]", part)


def check_size(schema: Schema) -> None:
    """Returns if a validator gets through the schema.

    Raises:
        SchemaError: it does not, or the schema refers to what is not in it.
    """
    _Walk(schema).size(schema, "", 0)


def target_of(root: Schema, schema: Schema) -> Any:
    """What the ``$ref`` of a schema leads to; None: it has none, or that leads nowhere."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    pointer = unquote(reference[1:])
    if problem_of_pointer(pointer):
        return None
    try:
        return value_at(root, pointer)
    except NotThereError:
        return None


class _Walk:
    """How many parts a schema has when all its references are followed."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._sizes: dict[int, int] = {}
        self._above: set[int] = set()

    def size(self, schema: Schema, at: str, depth: int) -> int:
        known = self._sizes.get(id(schema))
        if known is not None:
            return known
        if depth > _MAX_DEPTH:
            raise SchemaError(f"{short(at)}: it is nested deeper than {_MAX_DEPTH} levels")
        if id(schema) in self._above:
            raise SchemaError(f"{short(at)}: its $ref leads back to itself; parameters of flows have an end")
        for key in _REFUSED:
            if key in schema:
                raise SchemaError(
                    f"{short(at)}: it has {key}; a $ref to another part of the schema is #/$defs/NAME"
                )
        self._above.add(id(schema))
        total = 1 + sum(self.size(part, place, depth + 1) for place, part in parts_of(schema, at))
        if "$ref" in schema:
            target = target_of(self._root, schema)
            if isinstance(target, dict):
                total += self.size(cast("dict[str, Any]", target), f"{at}/$ref", depth + 1)
            elif not isinstance(target, bool):
                raise SchemaError(
                    f"{at}/$ref: it leads to no other part of this schema (as #/$defs/NAME does)"
                )
        self._above.discard(id(schema))
        if total > MAX_PARTS:
            raise SchemaError(f"{short(at)}: it has more than {MAX_PARTS} parts, with what its $refs lead to")
        self._sizes[id(schema)] = total
        return total
