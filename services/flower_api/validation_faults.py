"""What pydantic finds wrong with a request, in the words of this API."""

from collections.abc import Mapping, Sequence
from typing import Any

from flower_api.request_times import POSITION_PATTERN, TIME_PATTERN
from flower_api.schemas import NAME_PATTERN, UUID_PATTERN
from flower_engine.model.tasks.task_spec import TASK_NAME_PATTERN

_PLAIN = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "int_type": "this is not a whole number",
    "int_parsing": "this is not a whole number",
    "int_parsing_size": "this number is too large",
    "int_from_float": "this is not a whole number",
    "float_type": "this is not a number",
    "float_parsing": "this is not a number",
    "finite_number": "this is not a finite number",
    "bool_type": "this is neither true nor false",
    "bool_parsing": "this is neither true nor false",
    "string_type": "this is not a string",
    "string_unicode": "this is not text in Unicode",
    "list_type": "this is not a list",
    "dict_type": "this is not an object",
    "model_type": "this is not an object",
    "model_attributes_type": "this is not an object",
}
# With the bounds that pydantic names.
_BOUNDED = {
    "string_pattern_mismatch": "it does not match {pattern}",
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be {ge} or more",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be {le} or less",
    "literal_error": "this is not one of {expected}",
    "enum": "this is not one of {expected}",
    "value_error": "{error}",  # a sentence of our own
}
_SIZES = {
    "string_too_short": "it needs {} or more",
    "string_too_long": "it may have {} at most",
    "too_short": "it needs {} or more",
    "too_long": "it may have {} at most",
}
_SHOWN_CHARACTERS = 200
_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
}
"""What a value should have been, where it is of another type altogether."""
_PATTERNS = {
    UUID_PATTERN: "it is no UUID in small letters, as 018f3c5e-7a10-4000-8000-00000000c350",
    f"^{TASK_NAME_PATTERN}$": "it is no name of a task: a letter or _, then letters, digits and _",
    NAME_PATTERN: "it holds a NUL, which Postgres cannot keep",
    TIME_PATTERN: "it is no time: write it like 2026-01-05T06:30:00Z",
    POSITION_PATTERN: "it is no position: they look like 1767594600000-0",
}


def place_of(found: Mapping[str, Any], body: Any) -> tuple[str | int, ...]:
    """Where it is: "body" or another part of the request, then names and indexes that the client knows.
    pydantic's names of types, which stand there too where a value may be this or that, are left out."""
    where, *path = found["loc"]
    if where != "body":
        return (where, *path[:1])
    place: list[str | int] = ["body"]
    here = body
    for step in path:
        if isinstance(here, dict) and step in here:
            here = here[step]  # pyright: ignore[reportUnknownVariableType] # JSON, of any shape
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):  # pyright: ignore[reportUnknownArgumentType]
            here = here[step]  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(here, dict) and found["type"] == "missing" and step == path[-1]:
            here = None
        else:
            break
        place.append(step)
    return tuple(place)


def in_words_of(group: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with one value. If it may be this or that: what it is nearest to, else all that it may
    be."""
    if len(group) == 1:
        return in_words(group[0])
    nearest = [found for found in group if found["type"] not in _WANTED]
    if nearest:
        return " or ".join(dict.fromkeys(map(in_words, nearest)))
    return "this is none of: " + ", ".join(dict.fromkeys(_WANTED[found["type"]] for found in group))


def in_words(found: Mapping[str, Any]) -> str:
    """One of ``ValidationError.errors()`` as a sentence that says what would be right."""
    bounds: Mapping[str, Any] = found.get("ctx") or {}
    kind: str = found["type"]
    if kind == "string_pattern_mismatch" and bounds.get("pattern") in _PATTERNS:
        return _PATTERNS[bounds["pattern"]]
    if kind == "extra_forbidden" and found["loc"][-1] == "dryRun":
        return "this call has no dry run; nothing was done"
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind in _BOUNDED:
        return _BOUNDED[kind].format_map(bounds)
    if kind in _SIZES:
        number = bounds.get("min_length", bounds.get("max_length"))
        one, many = ("character", "characters") if kind.startswith("string") else ("entry", "entries")
        return _SIZES[kind].format(f"{number} {one if number == 1 else many}")
    text = str(found["msg"])
    return (text[:1].lower() + text[1:])[:_SHOWN_CHARACTERS]
