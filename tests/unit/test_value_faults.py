"""By the schema of a parameter only what its program refuses for sure is a fault."""

import datetime
import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

from flower_engine.errors import ParameterError
from flower_engine.programs.published_program import PublishedProgram
from flower_engine.programs.registry import Registry
from flower_engine.programs.self_description import published
from flower_engine.programs.value_faults import faults_of_value


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Address:
    street: str
    number: int = 1


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: float
    y: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Pair(NamedTuple):
    left: int
    right: str


class Options(TypedDict, total=False):
    deep: bool
    depth: int


class Model(pydantic.BaseModel):
    n: int
    tags: list[str] = []
    inner: Address | None = None
    price: Decimal = Decimal(1)
    at: datetime.datetime | None = None


class Strict(pydantic.BaseModel, extra="forbid"):
    n: int = pydantic.Field(gt=2)


class Tree(msgspec.Struct):
    children: list["Tree"] = []


TYPES: list[Any] = [
    *(bool, int, float, str, bytes, Decimal, uuid.UUID, Path, Colour, Level, Any),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
    *(Literal["a", "b"], Literal[1, 2], int | None, Colour | None, int | str, list[int] | None),
    *(list[int], list[Any], set[int], tuple[int, str], dict[str, int], list[Address], list[Point | None]),
    *(Address, Point, Pair, Options, Model, Strict, Tree, list[Model], dict[str, Decimal]),
    Annotated[int, msgspec.Meta(ge=3, multiple_of=2)],
    Annotated[str, msgspec.Meta(max_length=3, pattern="^a")],
    Annotated[list[int], msgspec.Meta(max_length=2)],
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, 2, 4, 5, 10**20, -1.5, 2.0, "", "a", "abcd", "red", "RED", "2", "1.5", "true"),
    *("null", "2024-02-29", "2024-02-29T01:02:03Z", "01:02:03", "PT3S", "[1, 2]", '{"street": "s"}', "YWJj"),
    *("6ba7b810-9dad-11d1-80b4-00c04fd430c8", '{"n": 3}', '[{"street": "s"}]'),
    *([], [1], ["1"], [1, 1, 2], [1.5], [None], [[1]], [1, "x"], ["1", "x"], [{}], [{"street": "s"}]),
    *({}, {"street": "s"}, {"street": "s", "number": "7"}, {"street": 3}, {"street": "s", "extra": 1}),
    *({"x": 1}, {"x": "1.5", "y": 3}, {"x": 1, "y": -1}, {"x": 1, "z": 0}, {"y": 1}, [1, {"x": 1}]),
    *({"n": 3}, {"n": "3"}, {"n": 1}, {"n": "x"}, {"n": 3, "extra": 1}, {"n": 3, "tags": "no"}, {"n": True}),
    *({"n": 3, "inner": {"street": "s"}}, {"n": 3, "inner": {}}, {"n": 3, "price": 1.5, "at": 0}),
    *(
        {"n": 3, "price": "x"},
        {"n": 3, "at": "2024-02-29"},
        [{"n": 3}],
        [{"n": []}],
        {"deep": 1, "depth": "2"},
    ),
    *(
        {"deep": [], "depth": 1},
        {"left": 1, "right": "x"},
        {"children": [{}, {"children": []}]},
        {"a": "1.5"},
    ),
]


def made(annotation: Any) -> tuple[PublishedProgram, Callable[[Any], Any]]:
    """A program with a parameter of this type: what it publishes, and its own judgement."""

    def takes(value: Any) -> None: ...

    takes.__annotations__["value"] = annotation
    program = Registry().add(takes, "P", None)
    return published(program), lambda value: program.binder.bind({"value": value})


@pytest.mark.parametrize("annotation", TYPES, ids=str)
def test_whatever_a_program_takes_is_no_fault(annotation: Any) -> None:
    program, bind = made(annotation)
    for value in VALUES:
        try:
            bind(value)
        except ParameterError:
            continue
        assert program.takes("value", value), value
        assert faults_of_value(program, "value", value) == [], value


@pytest.mark.parametrize(
    ("annotation", "value", "faults"),
    [
        (list[int], [1, "x", None], ["/1", "/2"]),
        (Address, {"number": 1}, ["/street"]),
        (Address, {"street": "s", "number": []}, ["/number"]),
        (Point, {"x": 1, "z": 0}, ["/z"]),
        (Point, {"x": 1, "y": -1}, ["/y"]),
        (list[Point | None], [{"x": 1, "y": -1}, None, 3], ["/0/y", "/2"]),
        (Model, {"n": "x", "tags": [1]}, ["/n", "/tags/0"]),
        (Model, {"n": 3, "inner": {}}, ["/inner/street"]),
        (Strict, {"n": 1, "extra": 0}, ["/extra", "/n"]),
        (dict[str, int], {"a/b": []}, ["/a~1b"]),
        (Literal[1, 2], 3, [""]),
        (Annotated[int, msgspec.Meta(ge=3)], 1, [""]),
        (Annotated[str, msgspec.Meta(max_length=3)], "abcd", [""]),
        (Annotated[list[int], msgspec.Meta(max_length=2)], [1, 2, 3], [""]),
    ],
    ids=str,
)
def test_what_it_refuses_is_named_with_its_place(annotation: Any, value: Any, faults: list[str]) -> None:
    program, bind = made(annotation)
    with pytest.raises(ParameterError):
        bind(value)
    found = faults_of_value(program, "value", value)
    assert sorted({place for place, _ in found}) == faults
    assert all(said for _, said in found)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/Endless"},
        {"$ref": "http://127.0.0.1:9/schema"},
        {"type": 7, "minimum": 1},
        {"pattern": "(", "minLength": 1},
        {"anyOf": "no", "minimum": 1},
        7,
    ],
)
def test_a_bad_schema_that_somebody_published_refuses_nothing(schema: Any) -> None:
    program = PublishedProgram(
        {"value": ()},
        parameters_schema={
            "properties": {"value": schema},
            "$defs": {"Endless": {"$ref": "#/$defs/Endless"}},
        },
    )
    assert faults_of_value(program, "value", {"a": [1]}) == []
