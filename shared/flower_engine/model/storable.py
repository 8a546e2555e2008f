"""What the tables cannot keep of JSON: NULs, lone surrogates, numbers without end, endless nesting."""

from collections.abc import Iterator, Mapping
from typing import Any

MAX_DEPTH = 100  # of nested lists and objects


def problems_of_parameters(parameters: Mapping[str, Any]) -> Iterator[str]:
    """What the tables cannot keep of these parameters: a clause for each, as "has a parameter..."."""
    for key, value in parameters.items():
        problem = "has a NUL or a surrogate in its name" if is_unstorable(key) else problem_of_value(value)
        if problem:
            yield f"has a parameter {key[:100]!r} that {problem}"


def problem_of_value(value: Any) -> str | None:
    """Why the tables cannot keep this value of JSON, if they cannot; goes down level by level."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if is_unstorable(item):
                    return "holds a NUL or a surrogate, which Postgres cannot keep"
            elif isinstance(item, dict):
                below += item.keys()
                below += item.values()  # pyright: ignore[reportUnknownMemberType] # JSON, of any shape
            elif isinstance(item, list):
                below += item
            elif isinstance(item, float) and item - item != 0:
                return "is not a finite number"
        if not below:
            return None
        level = below
    return f"is nested deeper than {MAX_DEPTH} levels"


def is_unstorable(text: str) -> bool:
    if text.isascii():
        return "\0" in text
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)
