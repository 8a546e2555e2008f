"""Floats are spelled out so that no store takes them for whole numbers; nothing else is touched."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.values.floats import spelled_out

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT
    | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["1e16", '"1e20', "\\", '\\"1e17']),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (1e16, "10000000000000000.0"),
        (-1.5e17, "-150000000000000000.0"),
        (1.0, "1.0"),
        (10**16, "10000000000000000"),
        (1e-7, "1e-7"),
        ({"1e16": ["1e16", '\\"1e16', 1e16]}, '{"1e16":["1e16","\\\\\\"1e16",10000000000000000.0]}'),
    ],
)
def test_a_float_is_spelled_out(value: object, spelled: str) -> None:
    assert spelled_out(msgspec.json.encode(value)).decode() == spelled


@given(JSON)
def test_what_is_spelled_out_is_the_same_and_of_the_same_types(value: object) -> None:
    encoded = spelled_out(msgspec.json.encode(value))
    assert repr(msgspec.json.decode(encoded)) == repr(value)
    assert repr(json.loads(encoded)) == repr(value)
