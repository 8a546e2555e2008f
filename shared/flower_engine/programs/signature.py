"""What a program takes, as far as others may know it: its parameters' names, which it needs, and their types.

Workers publish it (``insight/published_signatures.py``), so that a parameter that no live version of a
program takes is refused before a task is given it. Names are found as in binding (``parameter_binding.py``).
"""

from functools import lru_cache
from inspect import Parameter
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from flower_engine.programs.parameter_conversion import Convert, converter

_WORDS: dict[Any, str] = {
    **{bool: "boolean", int: "integer", float: "number", str: "string", NoneType: "null", None: "null"},
    **{list: "array", dict: "object"},
}
_TYPES: dict[str, Any] = {
    **{"boolean": bool, "integer": int, "number": float, "string": str, "null": None},
    **{"array": list[Any], "object": dict[str, Any]},
}
Words = tuple[str, ...]
"""Words of JSON for what a parameter takes; () where that cannot be told: anything then."""


class Signature(msgspec.Struct, frozen=True, omit_defaults=True):
    """``parameters``: their words by name; ``extra``: those of any other name, None where none is taken.
    ``context``: the name under which the program gets its context, which no task can give.

    Readers ignore fields that they do not know, so more can be published later.
    """

    parameters: dict[str, Words]
    required: tuple[str, ...] = ()
    extra: Words | None = None
    context: str = ""

    def bound(self, key: str) -> str | None:
        """The parameter that a key given alone is bound to; None: the program does not take it."""
        if key in self.parameters:
            return key
        folded = key.casefold()
        alike = [name for name in self.parameters if name.casefold() == folded]
        if len(alike) == 1:
            return alike[0]
        is_context = bool(self.context) and key == self.context
        return None if self.extra is None or is_context else key

    def takes(self, key: str, value: Any) -> bool:
        """Whether the value may convert to what the key's parameter wants."""
        name = self.bound(key)
        if name is None:
            return False
        return converts_to(self.parameters.get(name, self.extra or ()), value)

    def words(self, key: str) -> str:
        """What the key's parameter wants, for a sentence."""
        return " or ".join(self.parameters.get(self.bound(key) or "", self.extra or ())) or "anything"


def words_of(annotation: Any) -> Words:
    """The words for an annotation."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return words_of(get_args(annotation)[0])
    if origin in (Union, UnionType):
        members = [words_of(member) for member in get_args(annotation)]
        return tuple(dict.fromkeys(word for words in members for word in words)) if all(members) else ()
    if annotation is Parameter.empty:
        return ()
    word = _WORDS.get(origin or annotation) if isinstance(origin or annotation, type | None) else None
    return (word,) if word else ()


def converts_to(words: Words, value: Any) -> bool:
    """Whether the value may convert to what these words say."""
    convert = _converter(words)
    if convert is None:
        return True
    try:
        convert(value)
    except Exception:  # noqa: BLE001 # as binding: whatever a conversion raises refuses the value
        return False
    return True


@lru_cache(1024)
def _converter(words: Words) -> Convert | None:
    if not words or not _TYPES.keys() >= set(words):
        return None
    try:
        return converter(Union[tuple(_TYPES[word] for word in words)])  # noqa: UP007 # made of values
    except TypeError:
        return None
