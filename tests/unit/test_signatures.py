"""What a program takes, told to others: the same names and values as binding takes, and none more refused."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest

from flower_engine.errors import ParameterError
from flower_engine.programs.context import Context
from flower_engine.programs.parameter_binding import Binder
from flower_engine.programs.signature import Signature


class Colour(Enum):
    RED = 1


@dataclass
class Point:
    x: int
    y: int = 0


def exact(table: str, limit: int = 1) -> None: ...
def both(table: str = "", TABLE: str = "") -> None: ...  # noqa: N803
def anything(first: int, **others: float) -> None: ...
def untyped(a, b=1) -> None: ...  # type: ignore[no-untyped-def]
def contextual(context: Context, n: int | None = None) -> None: ...
def rich(  # noqa: PLR0917
    when: datetime | None = None,
    colour: Colour = Colour.RED,
    point: Point | None = None,
    word: Literal["a", "b"] = "a",
    ratio: Annotated[float, msgspec.Meta(ge=0)] = 0.0,
    many: list[int] | None = None,
    flag: bool = False,
) -> None: ...


PROGRAMS: list[Callable[..., None]] = [exact, both, anything, untyped, contextual, rich]
KEYS = [
    *("table", "TABLE", "Table", "limit", "LIMIT", "first", "other", "a", "B", "context", "CONTEXT", "n"),
    *("when", "colour", "point", "word", "ratio", "many", "flag", "", "ﬁrst"),
]
VALUES: list[Any] = [
    *(None, True, 0, 1, -1.5, 1.0, 1e300, 10**30, "", "1", "x", "abc", "true", "null", "RED", "b"),
    *("2026-01-01T00:00:00Z", [], [1], ["x"], "[1]", {}, {"x": 1}, '{"x": 1}', "[", "{"),
]


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("key", KEYS)
def test_nothing_that_binding_takes_is_refused(function: Callable[..., None], key: str) -> None:
    binder = Binder("P", function)
    told = msgspec.json.decode(msgspec.json.encode(binder.signature), type=Signature)
    assert told == binder.signature
    for value in VALUES:
        try:
            bound = binder.bind({key: value})
        except ParameterError as error:
            if "needs" not in str(error):
                continue
        else:
            assert told.bound(key) in bound
        assert told.takes(key, value), (key, value)


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("key", KEYS)
def test_a_name_that_binding_does_not_know_is_not_taken(function: Callable[..., None], key: str) -> None:
    binder = Binder("P", function)
    try:
        binder.bind({key: None})
    except ParameterError as error:
        unknown = "has no parameter" in str(error)
    else:
        unknown = False
    assert (binder.signature.bound(key) is None) == unknown


@pytest.mark.parametrize(
    ("key", "value"),
    [("limit", "abc"), ("limit", 1.5), ("LIMIT", []), ("table", 7), ("limit", None), ("table", None)],
)
def test_values_that_do_not_convert_are_refused(key: str, value: Any) -> None:
    assert not Binder("P", exact).signature.takes(key, value)


def test_what_is_needed_is_told() -> None:
    assert Binder("P", exact).signature == Signature(
        {"table": ("string",), "limit": ("integer",)}, required=("table",)
    )
    assert Binder("P", anything).signature.extra == ("number",)
    assert Binder("P", contextual).signature == Signature({"n": ("integer", "null")}, context="context")
    assert Binder("P", rich).signature.parameters["when"] == ()
