"""JSON Pointer (RFC 6901): where something stands in a value."""

import re
from typing import Any, cast

import msgspec

from flower_engine.model.values.quoting import short

MAX_POINTER_LENGTH = 1024

_TILDE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,15}")


class NotThereError(LookupError):
    """The value has nothing at this place; the message says how far the pointer leads, and what is there."""


def problem_of_pointer(pointer: str) -> str:
    """What is wrong with the pointer, as the end of a sentence that begins with it; "": nothing."""
    if len(pointer) > MAX_POINTER_LENGTH:
        return f"is longer than {MAX_POINTER_LENGTH} characters"
    if pointer and not pointer.startswith("/"):
        return 'is no JSON Pointer: it must be "" or begin with "/"'
    if _TILDE.search(pointer):
        return 'is no JSON Pointer: "~" is written "~0" in it, and "/" in a name "~1"'
    return ""


def pointer_to(*steps: str | int) -> str:
    """The pointer that leads over these names and indexes."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def value_at(value: Any, pointer: str) -> Any:
    """What stands in the value where the pointer leads; the pointer is a right one.

    Raises:
        NotThereError: nothing stands there.
    """
    if not pointer:
        return value
    passed = ""
    here: Any = value
    for token in pointer[1:].split("/"):
        name = token.replace("~1", "/").replace("~0", "~")
        members = cast("dict[str, Any]", here) if isinstance(here, dict) else {}
        items = cast("list[Any]", here) if isinstance(here, list) else []
        if name in members:
            here = members[name]
        elif _INDEX.fullmatch(name) and int(name) < len(items):
            here = items[int(name)]
        else:
            raise NotThereError(f"{f'at {short(passed)!r} ' if passed else ''}there is {in_words(here)}")
        passed += "/" + token
    return here


def in_words(value: Any) -> str:
    """What kind of JSON a value is, and the beginning of it, for people."""
    if isinstance(value, dict):
        names = [short(name) for name in cast("dict[str, Any]", value)][:10]
        more = ", ..." if len(value) > len(names) else ""  # pyright: ignore[reportUnknownArgumentType]
        return f"an object with {', '.join(names)}{more}" if names else "an object without members"
    if isinstance(value, list):
        return f"a list of length {len(value)}"  # pyright: ignore[reportUnknownArgumentType]
    if value is None:
        return "null"
    kind = "the text" if isinstance(value, str) else "the value" if isinstance(value, bool) else "the number"
    return f"{kind} {short(msgspec.json.encode(value).decode())}"
