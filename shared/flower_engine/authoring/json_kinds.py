"""Whether a value of one type may be given where another is wanted, as far as the types tell that."""

from enum import Enum
from typing import Any, get_origin

from flower_engine.authoring.result_types import (
    bare,
    fields_of,
    is_list,
    is_object,
    keys_of,
    length_of,
    members_of_union,
    type_of_values,
)

_WORDS: dict[Any, str] = {
    **{bool: "boolean", int: "integer", float: "number", str: "text", type(None): "null"},
}
_FROM_TEXT = ("date", "UUID", "bytes")  # and from nothing else; times and decimals are made of numbers, too


def may_be(given: Any, wanted: Any) -> bool:
    """Whether some value of type ``given`` fits ``wanted``; True in doubt."""
    return any(_may_be(one, other) for one in members_of_union(given) for other in members_of_union(wanted))


def _may_be(given: Any, wanted: Any) -> bool:
    given, wanted = bare(given), bare(wanted)
    if Any in (given, wanted) or given == wanted:
        return True
    word, wanted_word = json_word(given), json_word(wanted)
    if "" in (word, wanted_word):
        return True
    if word != wanted_word:
        return (word, wanted_word) == ("integer", "number")
    if word != "list":
        return True
    lengths = {length_of(given), length_of(wanted)}
    if lengths == {None}:
        return may_be(type_of_values(given), type_of_values(wanted))
    return None in lengths or len(lengths) == 1


def json_word(annotation: Any) -> str:
    """What its values are in JSON; "" where that cannot be told."""
    kind = get_origin(annotation) or annotation
    if not isinstance(kind, type):
        return ""
    if issubclass(kind, Enum):
        words = {json_word(type(member.value)) for member in kind}
        return words.pop() if len(words) == 1 else ""
    fields = fields_of(annotation)
    if fields is not None:
        is_array = bool(fields) and all(isinstance(field.step, int) for field in fields.values())
        return "list" if is_array else "object"
    if keys_of(annotation) is not None or is_object(annotation):
        return "object"
    if kind in _WORDS:
        return _WORDS[kind]
    if kind.__name__ in _FROM_TEXT:
        return "text"
    return "list" if is_list(annotation) or length_of(annotation) is not None else ""
