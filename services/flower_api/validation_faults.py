"""What pydantic finds wrong with a request, in the words of this API."""

from collections.abc import Mapping
from typing import Any

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


def in_words(found: Mapping[str, Any]) -> str:
    """One of ``ValidationError.errors()`` as a sentence that says what would be right."""
    bounds: Mapping[str, Any] = found.get("ctx") or {}
    kind: str = found["type"]
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
