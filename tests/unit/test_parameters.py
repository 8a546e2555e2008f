"""Task parameters become typed keyword arguments, or an error that says what is wrong with them."""

import dataclasses
import datetime
import enum
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

from flower_engine.errors import ParameterError, ProgramError
from flower_engine.programs.context import Context
from flower_engine.programs.parameter_binding import Binder


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Address:
    street: str
    number: int = 1


class Point(msgspec.Struct):
    x: float
    y: float


class Pair(NamedTuple):
    left: int
    right: str


class Options(TypedDict):
    depth: int


class Model(pydantic.BaseModel):
    n: int


UTC = datetime.UTC


def converted(annotation: Any, value: Any) -> Any:
    def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    return Binder("P", function).bind({"x": value})["x"]


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (str, "3", "3"),
        (str, "", ""),
        (int, "3", 3),
        (int, "-3", -3),
        (int, 3, 3),
        (float, "3", 3.0),
        (float, 3, 3.0),
        (float, "1e3", 1000.0),
        (bool, "true", True),
        (bool, "False", False),
        (bool, "0", False),
        (Decimal, "1.50", Decimal("1.50")),
        (Decimal, 2, Decimal(2)),
        (datetime.datetime, "2024-01-02T03:04:05Z", datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime.date, "2024-01-02", datetime.date(2024, 1, 2)),
        (datetime.timedelta, "PT3S", datetime.timedelta(seconds=3)),
        (datetime.timedelta, "1.5", datetime.timedelta(seconds=1.5)),
        (Colour, "red", Colour.RED),
        (Colour, "RED", Colour.RED),
        (Colour, "2", Colour.TWO),
        (Colour, 2, Colour.TWO),
        (Colour | None, "red", Colour.RED),
        (Colour | None, None, None),
        (Level, "1", Level.LOW),
        (Level, "LOW", Level.LOW),
        (int | None, "3", 3),
        (int | None, "null", None),
        (int | None, None, None),
        (int | str, "3", "3"),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, 2], "2", 2),
        (list[int], "[1, 2]", [1, 2]),
        (list[int], ' ["1"]', [1]),
        (list[int], [1, "2"], [1, 2]),
        (list[int] | None, "[1]", [1]),
        (list[int] | str, "[1]", "[1]"),
        (set[str], '["a"]', {"a"}),
        (tuple[int, str], '[1, "a"]', (1, "a")),
        (dict[str, float], '{"a": "1.5"}', {"a": 1.5}),
        (dict, '{"a": 1}', {"a": 1}),
        (Address, '{"street": "Main", "number": "7"}', Address("Main", 7)),
        (Address, {"street": "Main"}, Address("Main", 1)),
        (list[Point], '[{"x": 1, "y": 2}]', [Point(1, 2)]),
        (Pair, '[1, "a"]', Pair(1, "a")),
        (Options, '{"depth": 3}', {"depth": 3}),
        (Model, '{"n": "3"}', Model(n=3)),
        (Path, "/tmp/x", Path("/tmp/x")),
        (Annotated[int, msgspec.Meta(ge=0)], "3", 3),
        (Any, "3", "3"),
        (object, [1], [1]),
    ],
)
def test_a_value_converts_to_the_annotated_type(annotation: Any, value: Any, expected: Any) -> None:
    result = converted(annotation, value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "three"),
        (int, "3.5"),
        (int, ""),
        (int, True),
        (int, None),
        (float, "x"),
        (bool, "perhaps"),
        (str, 3),
        (str, None),
        (Colour, "blue"),
        (Colour, [1]),
        (Literal[1, 2], "3"),
        (list[int], "1,2"),
        (list[int], '["a"]'),
        (list[int], "[1"),
        (Address, '{"number": 1}'),
        (Model, '{"n": "x"}'),
        (datetime.datetime, "yesterday"),
        (Annotated[int, msgspec.Meta(ge=0)], "-1"),
        (Registered := type("Registered", (), {}), "x"),
        (list[int], "[\ud800]"),
    ],
)
def test_a_value_that_does_not_convert_is_named_with_parameter_and_type(annotation: Any, value: Any) -> None:
    with pytest.raises(ParameterError) as refused:
        converted(annotation, value)
    message = str(refused.value)
    assert "'P'" in message and "'x'" in message and repr(value) in message
    assert getattr(annotation, "__name__", "int") in message


def test_a_long_value_is_shown_shortened() -> None:
    with pytest.raises(ParameterError) as refused:
        converted(int, "x" * 100_000)
    assert len(str(refused.value)) < 1_000


def typed(sleep_time_second: float, url: str = "", *, flag: bool = False) -> None: ...


def test_the_tables_capitals_find_the_parameter() -> None:
    arguments = Binder("P", typed).bind({"SLEEP_TIME_SECOND": "3", "Url": "u", "FLAG": "1"})
    assert arguments == {"sleep_time_second": 3.0, "url": "u", "flag": True}


def test_an_exact_name_goes_before_one_that_differs_in_case() -> None:
    def function(url: str, URL: str) -> None: ...  # noqa: N803

    assert Binder("P", function).bind({"URL": "1", "url": "2"}) == {"URL": "1", "url": "2"}
    with pytest.raises(ParameterError, match="Url"):
        Binder("P", function).bind({"Url": "1"})


@pytest.mark.parametrize("given", [{"URL": "1", "url": "2"}, {"URL": "1", "Url": "2"}])
def test_a_parameter_given_twice_is_refused(given: dict[str, str]) -> None:
    def function(url: str) -> None: ...

    with pytest.raises(ParameterError, match=r"(?i)url"):
        Binder("P", function).bind(given)


def test_a_missing_parameter_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ParameterError, match=r"needs 'sleep_time_second'.*url \(optional\)"):
        Binder("P", typed).bind({})


def test_an_unknown_parameter_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ParameterError, match=r"no parameter 'SLEEP'; it takes sleep_time_second, url"):
        Binder("P", typed).bind({"SLEEP": "3", "sleep_time_second": "3"})


def test_a_program_without_parameters_takes_none() -> None:
    binder = Binder("P", lambda: None)
    assert binder.bind({}) == {}
    with pytest.raises(ParameterError, match="it takes no parameters"):
        binder.bind({"A": "1"})


def test_a_program_with_keywords_takes_any_name_and_converts_its_value() -> None:
    def function(a: int, **others: float) -> None: ...

    assert Binder("P", function).bind({"A": "1", "B": "2"}) == {"a": 1, "B": 2.0}


def test_the_context_is_no_parameter_of_the_task() -> None:
    def function(context: Context, a: int = 0, **others: object) -> None: ...

    def optional(context: Context | None = None) -> None: ...

    binder = Binder("P", function)
    assert binder.context_parameter == "context"
    assert binder.bind({"a": 1}) == {"a": 1}
    with pytest.raises(ParameterError, match="no parameter 'context'"):
        binder.bind({"context": "mine"})
    assert Binder("P", optional).context_parameter == "context"
    assert Binder("P", typed).context_parameter is None


def test_annotations_written_as_text_are_resolved() -> None:
    def function(a: "int", context: "Context") -> None: ...

    binder = Binder("P", function)
    assert binder.bind({"A": "1"}) == {"a": 1}
    assert binder.context_parameter == "context"


def test_a_type_that_nothing_converts_to_is_refused_when_the_program_is_read() -> None:
    def function(a: dict[tuple[int, int], "list[set[int]] | list[int]"]) -> None: ...

    with pytest.raises(ProgramError, match="parameter 'a'"):
        Binder("P", function)
