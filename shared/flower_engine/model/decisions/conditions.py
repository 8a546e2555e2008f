"""Conditions: trees of JSON that come to true or false, from results of tasks and parameters of the flow.

::

    ["gt", a, b]            also eq, ne, lt, le, ge
    ["in", a, b]            a is an item of the list b, a part of the text b, or a name in the object b
    ["and", c, d, ...]      also or: from the left, and no further than needed
    ["not", c]
    ["is_none", a]          a is null, or is not there; ["some", a] is the contrary
    ["truthy", a]           a is neither null, false, 0, "", [] nor {}

A condition (c, d) is such a tree, or true or false. A value (a, b) is JSON that may hold references; as a
list begins a tree, one that is a value is written ``["list", [...]]``. ``condition_text.py`` has the same as
text.
"""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from flower_engine.errors import ConditionError, ParameterError
from flower_engine.model.decisions.condition_values import compared
from flower_engine.model.decisions.condition_writing import READING, text_of_condition, text_of_value
from flower_engine.model.parameters.references import (
    Read,
    holds_references,
    resolved_value,
    scan,
    with_param_values,
)
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.values.quoting import short

MAX_PARTS = 500
MAX_LEVELS = 30
MAX_VALUES = 50
"""So many of the values that a condition saw are told."""
MAX_VALUE_BYTES = 1024

_MOST_PROBLEMS = 100

COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "in")
_OF_CONDITIONS = {"and": (2, MAX_PARTS), "or": (2, MAX_PARTS), "not": (1, 1)}
_OF_VALUES = {**dict.fromkeys(COMPARISONS, 2), "is_none": 1, "some": 1, "truthy": 1}
_KNOWN = (*_OF_CONDITIONS, *_OF_VALUES)


class Decision(msgspec.Struct, frozen=True, rename={"is_met": "is"}):
    """What a condition came to. ``values``: what it saw, by the reference as its text says it; of what is
    longer than 1 KiB the beginning of its JSON, as a text."""

    is_met: bool
    values: dict[str, Any]


def decided(tree: Any, read: Read) -> Decision:
    """What a right condition comes to; ``read`` gives results as for parameters.

    Raises:
        ConditionError: two values do not compare; names them.
        MissingInputError: a value that is needed is missing; names producer and path.
    """
    evaluation = _Evaluation(read)
    return Decision(evaluation.condition(tree), evaluation.values)


def problems_of_condition(tree: Any) -> list[str]:
    """What is wrong with a tree, each with its place (a JSON Pointer), as in "/1/2: ..."."""
    walk = _Walk()
    walk.condition(tree, (), 0)
    if walk.parts > MAX_PARTS:
        walk.problems.append(f": it has more than {MAX_PARTS} parts")
    if not walk.problems:
        for places in scan(tree).secrets.values():
            walk.problems.append(f"{places[0]}: a condition tells what it saw, so it cannot hold secrets")
    return walk.problems


def with_params(tree: Any, values: Mapping[str, Any]) -> Any:
    """The tree with every ``$param`` replaced by its value, which stays data: a list begins no tree."""

    def value_of(name: str) -> Any:
        value = values.get(name)
        return {"$literal": cast("Any", value)} if isinstance(value, list | dict) else value

    return with_param_values(tree, value_of)


class _Evaluation:
    def __init__(self, read: Read) -> None:
        self._read = read
        self.values: dict[str, Any] = {}

    def condition(self, tree: Any) -> bool:
        if isinstance(tree, bool):
            return tree
        head, *parts = cast("list[Any]", tree)
        match head:
            case "and":
                return all(self.condition(part) for part in parts)
            case "or":
                return any(self.condition(part) for part in parts)
            case "not":
                return not self.condition(parts[0])
            case "is_none":
                return self._value(parts[0]) is None
            case "some":
                return self._value(parts[0]) is not None
            case "truthy":
                return bool(self._value(parts[0]))
            case _:
                left, right = self._value(parts[0]), self._value(parts[1])
                try:
                    return compared(head, left, right)
                except ConditionError as error:
                    raise ConditionError(f"{short(text_of_condition(tree))}: {error}") from None

    def _value(self, part: Any) -> Any:
        if isinstance(part, list):
            items = cast("list[Any]", part)
            if items[0] != "list":
                return self.condition(items)
            return self._resolved(items[1], part)
        return self._resolved(part, part)

    def _resolved(self, value: Any, part: Any) -> Any:
        if not isinstance(value, dict | list):
            return value
        text = text_of_value(part)
        found = resolved_value(value, self._read, _no_secret, f"the condition's {short(text)}")
        if holds_references(value, READING) and len(self.values) < MAX_VALUES:
            self.values[text] = _cut(found)
        return found


def _cut(value: Any) -> Any:
    encoded = msgspec.json.encode(value)
    if len(encoded) <= MAX_VALUE_BYTES:
        return value
    return encoded[: MAX_VALUE_BYTES - 5].decode(errors="ignore") + "..."


def _no_secret(name: str) -> str:
    raise ParameterError(f"a condition asks for the secret {name}")  # no definition may say so


class _Walk:
    """Collects what is wrong with a tree."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.parts = 0

    def condition(self, tree: Any, at: tuple[int, ...], depth: int) -> None:
        self.parts += 1
        if isinstance(tree, bool) or self.parts > MAX_PARTS:
            return
        if not isinstance(tree, list) or not tree:
            self._say(at, f"is {_kind(tree)}, where a condition stands{_hint(tree)}")
            return
        head, *parts = cast("list[Any]", tree)
        if depth > MAX_LEVELS:
            self._say(at, f"is nested deeper than {MAX_LEVELS} levels")
        elif not isinstance(head, str) or head not in _KNOWN:
            shown = short(msgspec.json.encode(head).decode())
            known = ", ".join(_KNOWN)
            self._say(at, f"begins with {shown}, which is none of {known}")
        elif head in _OF_CONDITIONS:
            least, most = _OF_CONDITIONS[head]
            if not least <= len(parts) <= most:
                wanted = str(least) if least == most else f"{least} or more"
                self._say(at, f"gives {head!r} {len(parts)} conditions; it takes {wanted}")
            for index, part in enumerate(parts, 1):
                self.condition(part, (*at, index), depth + 1)
        else:
            if len(parts) != _OF_VALUES[head]:
                self._say(at, f"gives {head!r} {len(parts)} values; it takes {_OF_VALUES[head]}")
            for index, part in enumerate(parts, 1):
                self._value(part, (*at, index), depth + 1)

    def _value(self, part: Any, at: tuple[int, ...], depth: int) -> None:
        if not isinstance(part, list):
            self.parts += 1
            return
        items = cast("list[Any]", part)
        if items[:1] != ["list"]:
            self.condition(items, at, depth)
        elif len(items) != 2 or not isinstance(items[1], list):
            self._say(at, 'gives "list" something else than one list')
        else:
            self.parts += 1 + len(cast("list[Any]", items[1]))

    def _say(self, at: tuple[int, ...], what: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(f"{pointer_to(*at)}: it {what}")


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a reference" if holds_references(value) else "an object"
    if isinstance(value, list):
        return "an empty list"
    return short(msgspec.json.encode(value).decode())


def _hint(value: Any) -> str:
    if isinstance(value, dict) and holds_references(value):
        return '; write ["truthy", {...}], or compare it'
    return ""
