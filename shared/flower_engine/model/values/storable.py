"""What JSON, or the tables, cannot carry of a value: numbers that are none, NULs, lone surrogates, endless
nesting.

Whoever brings such a value is told, with the place; nothing takes another's place silently, because then the
one who reads it would be blamed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import msgspec

from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.values.quoting import short

MAX_DEPTH = 100  # of nested lists and objects

# As msgpack writes them; no text holds these bytes, as they are no UTF-8, so other values match rarely.
_NO_NUMBERS = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Unstorable(NamedTuple):
    """``path``: names and indexes that lead to it. ``what``: a clause, as "is NaN..."; ``instead``: what to
    give instead, as "null"."""

    path: tuple[str | int, ...]
    what: str
    instead: str

    @property
    def pointer(self) -> str:
        """The JSON Pointer that leads to it."""
        return pointer_to(*self.path)

    @property
    def place(self) -> str:
        """The same, as an end of a sentence: ", at '/0/size'", or nothing."""
        return f", at {short(self.pointer)!r}" if self.path else ""


def problems_of_parameters(parameters: Mapping[str, Any]) -> Iterator[str]:
    """What the tables cannot keep of these parameters: a clause for each, as "has a parameter..."."""
    for key, value in parameters.items():
        problem = "has a NUL or a surrogate in its name" if is_unstorable(key) else problem_of_value(value)
        if problem:
            yield f"has a parameter {key[:100]!r} that {problem}"


def problem_of_value(value: Any) -> str | None:
    """Why the tables cannot keep this value of JSON, if they cannot, with the place."""
    found = unstorable_in(value)
    return None if found is None else f"{found.what}{found.place}; give {found.instead}"


def unstorable_in(value: Any, most_bits: int | None = None) -> Unstorable | None:
    """The first thing in this value of JSON that cannot be kept; ``most_bits``: of whole numbers."""
    found = _fault_of(value, 0, most_bits)
    if found is None:
        return None
    path, what, instead = found
    return Unstorable(tuple(reversed(path)), what, instead)


def lost_in(value: Any, encoded: bytes, enc_hook: Callable[[Any], Any] | None = None) -> Unstorable | None:
    """What is wrong with a value, if its JSON, which msgspec made, has null for a number in it; cheap where
    it has not. It may be another fault that is found first."""
    if b"null" not in encoded or value is None:
        return None
    try:
        if _NO_NUMBERS.search(msgspec.msgpack.encode(value, enc_hook=enc_hook)) is None:
            return None
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        pass  # whole numbers beyond 64 bits, for one
    plain = msgspec.to_builtins(value, enc_hook=enc_hook, str_keys=True)
    return unstorable_in(plain)


def is_unstorable(text: str) -> bool:
    """Whether text holds a NUL or a lone surrogate."""
    if text.isascii():
        return "\0" in text
    return "\0" in text or _SURROGATE.search(text) is not None


_Fault = tuple[list[str | int], str, str]  # its path, last step first


def _fault_of(value: Any, depth: int, most_bits: int | None) -> _Fault | None:
    kind = cast("Any", type(value))
    if kind is str:
        return _fault_of_text(value) if is_unstorable(value) else None
    if kind is float:
        return None if value - value == 0 else _no_number(value)
    if kind is int:
        too_long = most_bits is not None and value.bit_length() > most_bits
        return ([], f"is a whole number of {value.bit_length()} bits, which few readers of JSON take",
                f"text, or a number of at most {most_bits} bits") if too_long else None  # fmt: skip
    if kind is not dict and kind is not list:
        return None
    if depth >= MAX_DEPTH:
        return [], f"is nested deeper than {MAX_DEPTH} levels", "something flatter"
    if kind is dict:
        members = cast("dict[str, Any]", value)
        for key in members:
            if is_unstorable(key):
                return [key], "has a NUL or a surrogate in its name", "another name"
        steps: Any = members.items()
    else:
        steps = enumerate(cast("list[Any]", value))
    for step, item in steps:
        inner = cast("Any", type(item))
        if inner is bool or item is None or (inner is str and not is_unstorable(item)):
            continue
        found = _fault_of(item, depth + 1, most_bits)
        if found is not None:
            found[0].append(step)
            return found
    return None


def _no_number(value: float) -> _Fault:
    name = "NaN" if value != value else "infinity" if value > 0 else "-infinity"  # noqa: PLR0124
    return [], f"is {name}, which is not a finite number and which JSON does not have", "null, or text"


def _fault_of_text(text: str) -> _Fault:
    if "\0" in text:
        what = f"holds a NUL (character {text.index(chr(0))}), which Postgres cannot keep"
        return [], what, "text without it, or bytes (they become base64)"
    at = cast("re.Match[str]", _SURROGATE.search(text)).start()
    what = f"holds a lone surrogate (character {at} is U+{ord(text[at]):04X}), which is no text"
    return [], what, "text that was decoded with errors='replace', or bytes (they become base64)"
