"""Keys of items, by which they are told apart: what stands at a place of each element of a map's list."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.errors import ParameterError
from flower_engine.model.definitions.map_tasks import KEY, MAX_KEY_LENGTH
from flower_engine.model.values.json_pointer import NotThereError, in_words, value_at
from flower_engine.model.values.quoting import short

_encode = msgspec.json.Encoder().encode


class ItemKeyError(ParameterError):
    """Elements of a map's list cannot be told apart by their keys."""


def keys_of(parameters: Mapping[str, Any], elements: Sequence[Any]) -> list[str]:
    """The key of each element, as the map's parameters say where it stands; [] where they do not.

    Raises:
        ItemKeyError: one has none, or two have the same; names the elements by their indexes.
    """
    if KEY not in parameters:
        return []
    pointer: str = parameters[KEY]
    found: dict[str, int] = {}
    for index, element in enumerate(elements):
        key = _key_in(element, pointer, index)
        if key in found:
            raise ItemKeyError(
                f"elements {found[key]} and {index} have the same key {short(key)!r}: items are told apart"
                " by their keys"
            )
        found[key] = index
    return list(found)


def _key_in(element: Any, pointer: str, index: int) -> str:
    where = f"the key of element {index}" + (f", at {short(pointer)!r}," if pointer else "")
    try:
        value = value_at(element, pointer)
    except NotThereError as error:
        raise ItemKeyError(f"{where} is not there: {error}") from error
    if value is None or isinstance(value, dict | list):
        raise ItemKeyError(f"{where} is {in_words(value)}; a key is a text, a number, true or false")
    key = value if isinstance(value, str) else _encode(value).decode()
    if not key.isprintable():
        raise ItemKeyError(f"{where} is {short(repr(key))}, which is not printable")
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise ItemKeyError(f"{where} has {len(key)} characters; 1 to {MAX_KEY_LENGTH} may be")
    return key
