"""What a map goes over: a list, several lists side by side, or the lists of a list one after another."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from flower_engine.errors import ParameterError
from flower_engine.model.definitions.map_tasks import FLAT, OVER_OUTCOMES, ZIPPED
from flower_engine.model.values.quoting import short

_encode = msgspec.json.Encoder().encode
_KINDS: dict[type[object], str] = {
    dict: "an object",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


class ListError(ParameterError):
    """What a map goes over is no list that it can go over."""


def elements_of(parameters: Mapping[str, Any], over: Any) -> list[Any]:
    """The elements of a map, as its parameters say how they lie in what it goes over.

    Raises:
        ListError: that is no list, holds no lists where these are to be put together, or they are not of one
            length.
    """
    lists = _list(over, "what the map goes over")
    if parameters.get(OVER_OUTCOMES) is True:
        return results_in(lists)
    if parameters.get(ZIPPED) is True:
        inner = [_list(one, f"list {number} of those") for number, one in enumerate(lists, start=1)]
        lengths = {len(one) for one in inner}
        if len(lengths) > 1:
            said = ", ".join(str(len(one)) for one in inner)
            raise ListError(
                f"the lists that the map goes over side by side have {said} elements, and must have as many"
                " as each other: have a program make them so, or map over a list of pairs that it returns"
            )
        return [list(one) for one in zip(*inner, strict=True)]
    if parameters.get(FLAT) is True:
        return [one for index, inner in enumerate(lists) for one in _list(inner, f"element {index}")]
    return lists


def results_in(outcomes: list[Any]) -> list[Any]:
    """The results in a list of outcomes, of those that have one."""
    told = cast("list[dict[str, Any]]", [one for one in outcomes if isinstance(one, dict)])
    return [one["result"] for one in told if "result" in one]


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        kind = "null" if value is None else _KINDS[type(cast("object", value))]
        raise ListError(
            f"{what} is {kind}, no list: {short(_encode(value).decode())}; have what gives it return a list"
        )
    return cast("list[Any]", value)
