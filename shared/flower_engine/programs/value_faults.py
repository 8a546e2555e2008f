"""What of a value a program does not take for sure, by the JSON Schema that its workers publish.

Conversion takes more than a schema says: a text that is a number, a name of an enum's member, a number for a
time. What it might take is no fault here; the worker judges it.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import msgspec

from flower_engine.model.parameters.schema_walk import SchemaError, check_size
from flower_engine.model.values.json_pointer import NotThereError, pointer_to, value_at
from flower_engine.model.values.quoting import short
from flower_engine.programs.published_program import PublishedProgram
from flower_engine.programs.signature import Signature, converts_to

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

_MOST_FAULTS = 20
_SAID_BY_WORDS = frozenset({"type", "title", "description", "default"})
_OF_TEXTS = frozenset({"minLength", "maxLength", "pattern"})
_NEVER = frozenset({"uniqueItems", "format", "not"})
_UNKNOWN: Mapping[str, Any] = {"format": ""}  # then nothing is sure
_NUMERIC = frozenset({"boolean", "integer", "number"})
_encode = msgspec.json.Encoder(order="deterministic").encode

Fault = tuple[str, str]
"""The place in the value (JSON Pointer), and a sentence about it."""


def faults_of_value(signature: Signature, name: str, value: Any) -> list[Fault]:
    """What is wrong with the value of the program's parameter of this name, 20 faults at most; nothing where
    only the signature is known, or its schema cannot be used."""
    schema = signature.parameters_schema if isinstance(signature, PublishedProgram) else None
    part = None if schema is None else _schema_of(schema, name)
    if schema is None or part is None or _SAID_BY_WORDS.issuperset(part):
        return []
    definitions = schema.get("$defs")
    root = {**part, "$defs": definitions} if definitions else dict(part)
    validator = _validator(_encode(root))
    if validator is None:
        return []
    found: list[Fault] = []
    try:
        for error in validator.iter_errors(value):
            found += _sure(error, root)
            if len(found) >= _MOST_FAULTS:
                break
    except ValueError:  # deeper than the validator goes
        return []
    return found[:_MOST_FAULTS]


def _schema_of(schema: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The schema of a parameter, by the program's own name for it; None: there is none, or anything goes."""
    properties: Any = schema.get("properties")
    known = cast("Mapping[str, Any]", properties) if isinstance(properties, Mapping) else dict[str, Any]()
    own: Any = known.get(name, schema.get("additionalProperties"))
    return cast("Mapping[str, Any]", own) if isinstance(own, Mapping) and own else None


@lru_cache(1024)
def _validator(encoded: bytes) -> "Validator | None":
    """None: it is no schema, or one whose check might not end. Types that hold themselves are among these."""
    import jsonschema_rs  # noqa: PLC0415 # slow to import; only parameters with more than a word pay for it

    schema = msgspec.json.decode(encoded)
    try:
        check_size(schema)
        return jsonschema_rs.Draft202012Validator(
            schema, pattern_options=jsonschema_rs.RegexOptions(), retriever=_fetched
        )
    except (SchemaError, ValueError, RecursionError):
        return None


def _fetched(uri: str) -> Any:
    raise ValueError(f"nothing is fetched: {uri}")


def _sure(error: "ValidationError", root: Mapping[str, Any]) -> Iterator[Fault]:
    """What of an error no conversion mends."""
    kind, value = error.kind, error.instance
    place = pointer_to(*error.instance_path)
    if kind.name in ("anyOf", "oneOf"):
        branches = [
            [fault for one in branch for fault in _sure(one, root)]
            for branch in cast("Sequence[Sequence[ValidationError]]", getattr(kind, "context", ()))
        ]
        if not branches or not all(branches):
            return
        inner = [branch for branch in branches if all(at != place for at, _ in branch)]
        if len(inner) == 1:  # it is of this one's type, and wrong inside
            yield from inner[0]
        else:
            yield place, short(error.message)
    elif kind.name == "required":
        yield place + pointer_to(str(getattr(kind, "property", ""))), "it is missing"
    elif kind.name in ("additionalProperties", "unevaluatedProperties"):
        for name in getattr(kind, "unexpected", ()):
            yield place + pointer_to(str(name)), "there is no such field"
    elif kind.name not in _NEVER and _is_sure(error, value, root):
        yield place, short(error.message)


def _is_sure(error: "ValidationError", value: Any, root: Mapping[str, Any]) -> bool:
    name = error.kind.name
    if name == "type":
        wanted = frozenset(cast("Sequence[str]", getattr(error.kind, "types", ())))
        if isinstance(value, str):
            at_top = not error.instance_path  # where a text may be JSON, too
            return not (at_top and wanted & {"array", "object"}) and not converts_to(tuple(wanted), value)
        if isinstance(value, bool | int | float):
            if "string" in wanted:  # times and decimals are texts in JSON, and made of numbers, too
                return "format" not in _part(root, error.schema_path)
            return isinstance(value, float) or not wanted & _NUMERIC
        return True
    if isinstance(value, str):
        return name in _OF_TEXTS
    return not (isinstance(value, bool) and name in {"enum", "const"})  # True is 1 to Python


def _part(root: Mapping[str, Any], path: Sequence[str | int]) -> Mapping[str, Any]:
    """The schema that an error comes from."""
    try:
        found = value_at(root, pointer_to(*path[:-1]))
    except NotThereError:
        return _UNKNOWN
    return cast("Mapping[str, Any]", found) if isinstance(found, Mapping) else _UNKNOWN
