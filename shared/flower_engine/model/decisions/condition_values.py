"""How two values of JSON compare in a condition.

Numbers compare with numbers, texts with texts by their characters (so dates and times of one form in ISO
notation do as one expects). Nothing else has an order, true and false neither. Equal are values of one kind:
1 and 1.0, but not 1 and true.
"""

from typing import Any, cast

from flower_engine.errors import ConditionError
from flower_engine.model.values.json_pointer import in_words


def compared(operator: str, left: Any, right: Any) -> bool:
    """Whether ``left`` is equal (eq), not equal (ne), less (lt, le), greater (gt, ge), or in ``right``.

    Raises:
        ConditionError: they do not compare.
    """
    match operator:
        case "eq":
            return equal(left, right)
        case "ne":
            return not equal(left, right)
        case "in":
            return _is_in(left, right)
        case "lt":
            return _order(left, right) < 0
        case "le":
            return _order(left, right) <= 0
        case "gt":
            return _order(left, right) > 0
        case _:
            return _order(left, right) >= 0


def equal(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON; how a number is written does not count."""
    if isinstance(left, list) and isinstance(right, list):
        items, others = cast("list[Any]", left), cast("list[Any]", right)
        return len(items) == len(others) and all(map(equal, items, others))
    if isinstance(left, dict) and isinstance(right, dict):
        members, others = cast("dict[str, Any]", left), cast("dict[str, Any]", right)
        return members.keys() == others.keys() and all(
            equal(one, others[key]) for key, one in members.items()
        )
    return _kind(left) == _kind(right) and left == right


def _is_in(left: Any, right: Any) -> bool:
    if isinstance(right, list):
        return any(equal(left, item) for item in cast("list[Any]", right))
    if isinstance(right, str | dict) and isinstance(left, str):
        return left in right
    if isinstance(right, str | dict):
        kind = "a text" if isinstance(right, str) else "an object"
        raise ConditionError(f"{in_words(left)} cannot be in {kind}, only a text can")
    raise ConditionError(f"nothing can be in {in_words(right)}: that is no list, text or object")


def _order(left: Any, right: Any) -> int:
    kind = _kind(left)
    if kind != _kind(right) or kind not in ("number", "text"):
        raise ConditionError(
            f"{in_words(left)} does not compare with {in_words(right)}: numbers compare with numbers, and"
            " texts with texts"
        )
    return (left > right) - (left < right)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        if value - value != 0:
            raise ConditionError(f"{value} is no number that compares")
        return "number"
    if isinstance(value, str):
        return "text"
    return "null" if value is None else "object" if isinstance(value, dict) else "list"
