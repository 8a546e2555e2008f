"""Conversion of one parameter value to the type that a program's annotation asks for.

Values come from JSON; those of the table are all strings, so strings convert to numbers, dates, enums, and,
where they begin with ``[`` or ``{``, through JSON to lists, dicts, structs and dataclasses.
"""

import inspect
from collections.abc import Callable
from enum import Enum
from pathlib import PurePath
from typing import Any, get_args

import msgspec

from flower_engine.blobs.blob import Blob

Convert = Callable[[Any], Any]


def converter(annotation: Any) -> Convert | None:
    """A function that converts a value to the annotated type, or None where any value will do.

    The function raises ValueError (or what a type's own validation raises) for a value that does not convert.

    Raises:
        TypeError: no JSON value converts to this type.
    """
    if annotation in (inspect.Parameter.empty, Any, object):
        return None
    members = get_args(annotation)
    if len(members) == 2 and type(None) in members:
        inner = members[0] if members[1] is type(None) else members[1]
        return _optional(inner) if _is_enum(inner) else _by_msgspec(annotation)
    return _enum_converter(annotation) if _is_enum(annotation) else _by_msgspec(annotation)


def strict_decoder(annotation: Any) -> Callable[[bytes], Any] | None:
    """A function that makes the annotated type of JSON without turning texts into numbers, for values that
    somebody writes in Python; None where any value will do. It raises what that of :func:`converter` does.

    Raises:
        TypeError: no JSON value converts to this type.
    """
    if annotation in (inspect.Parameter.empty, Any, object):
        return None
    return msgspec.json.Decoder(annotation, dec_hook=_from_json).decode


def type_name(annotation: Any) -> str:
    """The type as its author wrote it, near enough."""
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _by_msgspec(annotation: Any) -> Convert:
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(annotation, strict=False, dec_hook=_from_json)

    def convert(value: Any) -> Any:
        try:
            return msgspec.convert(value, annotation, strict=False, dec_hook=_from_json)
        except msgspec.ValidationError:
            if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
                return decoder.decode(value)
            raise

    return convert


def _is_enum(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Enum)


def _optional(enum: type[Enum]) -> Convert:
    convert_member = _enum_converter(enum)

    def convert(value: Any) -> Enum | None:
        return None if value is None or value == "null" else convert_member(value)

    return convert


def _enum_converter(enum: type[Enum]) -> Convert:
    """By value, else by name; the text ``"2"`` finds the value 2."""
    by_text: dict[str, Enum] = {}
    for member in enum:
        by_text.setdefault(str(member.value), member)
    for name, member in enum.__members__.items():
        by_text.setdefault(name, member)

    def convert(value: Any) -> Enum:
        try:
            return enum(value)
        except ValueError:
            member = by_text.get(value) if isinstance(value, str) else None
            if member is None:
                raise ValueError(f"expected one of {', '.join(by_text)}") from None
            return member

    return convert


def _from_json(wanted: type[Any], value: Any) -> Any:
    """Types that msgspec does not know: blobs, paths and pydantic models (known by their method)."""
    if issubclass(wanted, Blob):
        return Blob.from_json(value)
    if issubclass(wanted, PurePath) and isinstance(value, str):
        return wanted(value)
    validate = getattr(wanted, "model_validate", None)
    if validate is None:
        raise ValueError(f"a {wanted.__qualname__} cannot be made from JSON")
    return validate(value)
