"""What a program returns becomes JSON that jsonb accepts, of bounded size, or is refused with its place."""

import dataclasses
import datetime
import enum
import json
import types
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flower_engine.errors import ProgramError
from flower_engine.model.values.result_json import MAX_DEPTH, MAX_RESULT_BYTES, clean_text, encode_result
from fuzzing import examples
from worker.hostile_programs import ENDLESS, READABLE


class Colour(enum.Enum):
    RED = "red"


class Text(str):
    __slots__ = ()


@dataclasses.dataclass
class Address:
    street: str


class Model(pydantic.BaseModel):
    when: datetime.date


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        value = value[0]  # pyright: ignore[reportUnknownVariableType]
        depth += 1
    return depth


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2**64, 2**64),
        (1.5, 1.5),
        ("a", "a"),
        ("\\u0000", "\\u0000"),
        ("\ud83d\ude00", "\U0001f600"),
        (Text("a"), "a"),
        ([Text("a")], ["a"]),
        ({1: 2, 1.5: 3}, {"1": 2, "1.5": 3}),
        ({1, 2}, [1, 2]),
        ((1, "x"), [1, "x"]),
        (b"\xff", "/w=="),
        (Decimal("1.50"), "1.50"),
        (datetime.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),
        (datetime.timedelta(seconds=3), "PT3S"),
        (Colour.RED, "red"),
        (Address("Main"), {"street": "Main"}),
        (Path("/tmp"), "/tmp"),
        ([Path("/tmp")], ["/tmp"]),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (Model(when=datetime.date(2024, 1, 2)), {"when": "2024-01-02"}),
        ([msgspec.Raw(b'{"a": 1}')], [{"a": 1}]),
        ([["[[[{"] * 60] * 3, [["[[[{"] * 60] * 3),
    ],
)
def test_a_result_becomes_json(value: Any, expected: Any) -> None:
    encoded = encode_result(value)
    assert json.loads(encoded) == expected
    assert b"\\u0000" not in encoded.replace(b"\\\\", b"")


@pytest.mark.parametrize("index", range(len(READABLE)))
def test_a_value_whose_own_code_raises_is_read_past_it(index: int) -> None:
    value, expected = READABLE[index]
    assert json.loads(encode_result(value)) == expected


NAN, INFINITY = float("nan"), float("inf")
NULLS = [None] * 200_000


class Reading(msgspec.Struct, rename="camel"):
    mean_value: float
    unit: str | None = None


class Measured(pydantic.BaseModel):
    value: float


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (NAN, "result is NaN"),
        ([1.5, None, INFINITY], r"result\[2\] is infinity"),
        ({"rows": [{"mean": -INFINITY}]}, r"result\['rows'\]\[0\]\['mean'\] is -infinity"),
        (Reading(NAN), r"result\['meanValue'\] is NaN.* return null, or text"),
        ([Measured(value=NAN)], r"result\[0\]\['value'\] is NaN"),
        ([2**70, NAN], r"result\[1\] is NaN"),
        ([*NULLS, NAN], r"result\[200000\] is NaN"),
        ("a\0b", r"result holds a NUL \(character 1\).*bytes"),
        ([Text("a\0")], r"result\[0\] holds a NUL"),
        (Address("Main\0"), r"result\['street'\] holds a NUL"),
        (["x"] * 200_000 + ["\0"], r"result\[200000\] holds a NUL"),
        ({"a\0": 1}, r"result\['a\\x00'\] has a NUL"),
        ("\ud800x", r"result holds a lone surrogate \(character 0 is U\+D800\)"),
        ([Address("\udc00")], r"result\[0\]\['street'\] holds a lone surrogate"),
        ([{"\udc00"}], r"result\[0\]\[0\] holds a lone surrogate"),
        ([10**400], r"result\[0\] is a whole number of 1329 bits"),
        ([10**6000], r"result\[0\] is a whole number of 19932 bits"),
        ({(1, 2): 3}, "result has a key of type tuple"),
        ([{"a": {1, 2}, (1,): 3}], r"result\[0\] has a key of type tuple"),
    ],
)
def test_what_json_cannot_carry_is_refused_with_its_place(value: Any, said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        encode_result(value)


@pytest.mark.parametrize(
    "value", [[*NULLS, "\\u0000"], [2**70, None], {"a": None, "b": 1.5}, ["\\u0000"] * 9]
)
def test_what_only_looks_so_is_kept(value: Any) -> None:
    assert json.loads(encode_result(value)) == value


@pytest.mark.parametrize("value", [object(), {"k": [object()]}, (x for x in ()), 1j, range(3), open])
def test_what_has_no_json_form_is_named_with_its_place(value: Any) -> None:
    with pytest.raises(ProgramError, match=r"result.* has no JSON form"):
        encode_result(value)


@pytest.mark.parametrize("value", ENDLESS)
def test_what_has_no_end_is_refused(value: Any) -> None:
    with pytest.raises(ProgramError, match=r"more than 100000|no JSON form"):
        encode_result(value)


def test_raw_bytes_that_are_no_json_are_refused() -> None:
    for value in (msgspec.Raw(b'1},"ends":true'), [msgspec.Raw(b"{bad")]):
        with pytest.raises(ProgramError):
            encode_result(value)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 5_000, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    with pytest.raises(ProgramError, match="nested deeper than 100"):
        encode_result(nested(depth))
    assert depth_of(json.loads(encode_result(nested(MAX_DEPTH)))) == MAX_DEPTH


def test_a_value_that_contains_itself_is_refused() -> None:
    once: list[Any] = []
    once.append(once)
    with pytest.raises(ProgramError, match="holds itself"):
        encode_result(once)
    twice: list[Any] = []
    twice += [twice, twice]
    with pytest.raises(ProgramError, match="holds itself"):
        encode_result(twice)


@pytest.mark.parametrize("value", ["x" * MAX_RESULT_BYTES, [0] * MAX_RESULT_BYTES])
def test_a_result_that_is_too_large_is_refused(value: Any) -> None:
    with pytest.raises(ProgramError, match="Store it elsewhere"):
        encode_result(value)


_json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=20,
)


def _same(value: Any) -> bool:
    """Whether every number is one, and no text holds what Postgres refuses."""
    if isinstance(value, float):
        return value - value == 0
    if isinstance(value, str):
        return "\0" not in value and clean_text(value, len(value)) == value
    if isinstance(value, dict):
        return all(_same(one) for pair in value.items() for one in pair)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return all(map(_same, value)) if isinstance(value, list) else True  # pyright: ignore[reportUnknownArgumentType]


@settings(max_examples=examples(150))
@given(_json_like)
def test_a_json_like_result_is_kept_as_it_is_or_refused(value: Any) -> None:
    try:
        encoded = encode_result(value)
    except ProgramError as error:
        assert "result" in str(error)
        assert not _same(value)
    else:
        assert _same(json.loads(encoded.decode("utf-8")))
        if _same(value):
            assert json.loads(encoded) == msgspec.to_builtins(value)


def test_short_clean_text_stays_as_it_is() -> None:
    assert clean_text("short ü", 100) == "short ü"
