"""Whatever a program returns becomes JSON that jsonb accepts, of bounded size."""

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
from flower_engine.model.result_json import MAX_DEPTH, MAX_RESULT_BYTES, clean_text, encode_result
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
        (float("nan"), None),
        (float("inf"), None),
        ("a", "a"),
        ("a\0b", "a\ufffdb"),
        ("\\u0000", "\\u0000"),
        ("\ud800x", "\ufffdx"),
        ("\ud83d\ude00", "\U0001f600"),
        (Text("a"), "a"),
        ([Text("a\0")], ["a\ufffd"]),
        ({"a\0": {"\udc00"}}, {"a\ufffd": ["\ufffd"]}),
        ({1: 2, 1.5: 3}, {"1": 2, "1.5": 3}),
        ({(1, 2): 3}, {"(1, 2)": 3}),
        ({1, 2}, [1, 2]),
        ((1, "x"), [1, "x"]),
        (b"\xff", "/w=="),
        (Decimal("1.50"), "1.50"),
        (datetime.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),
        (datetime.timedelta(seconds=3), "PT3S"),
        (Colour.RED, "red"),
        (Address("Main\0"), {"street": "Main\ufffd"}),
        (Path("/tmp"), "/tmp"),
        ([Path("/tmp")], ["/tmp"]),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (Model(when=datetime.date(2024, 1, 2)), {"when": "2024-01-02"}),
        ([msgspec.Raw(b'{"a": 1}')], [{"a": 1}]),
        ([10**400], [str(10**400)]),
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


def test_an_integer_too_long_to_write_is_described() -> None:
    assert json.loads(encode_result([10**6000])) == ["[integer of 19932 bits]"]


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


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1, 900, 5_000, 100_000])
def test_deep_nesting_is_cut(depth: int) -> None:
    assert depth_of(json.loads(encode_result(nested(depth)))) == min(depth, MAX_DEPTH)


def test_a_value_that_contains_itself_is_cut_or_refused() -> None:
    once: list[Any] = []
    once.append(once)
    assert depth_of(json.loads(encode_result(once))) == MAX_DEPTH
    twice: list[Any] = []
    twice += [twice, twice]
    with pytest.raises(ProgramError, match="at most"):
        encode_result(twice)


@pytest.mark.parametrize("value", ["x" * MAX_RESULT_BYTES, [0] * MAX_RESULT_BYTES, "\ud800" * 400_000])
def test_a_result_that_is_too_large_is_refused(value: Any) -> None:
    with pytest.raises(ProgramError, match="Store it elsewhere"):
        encode_result(value)


_json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(_json_like)
def test_every_json_like_result_is_valid_json_without_nul(value: Any) -> None:
    encoded = encode_result(value)
    json.loads(encoded.decode("utf-8"))
    assert "\0" not in str(json.loads(encoded))


def test_short_clean_text_stays_as_it_is() -> None:
    assert clean_text("short ü", 100) == "short ü"
