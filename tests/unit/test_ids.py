"""Flow ids: their layout, and what can be read back from them."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.values.ids import MAX_PARTITIONS, created_ms, is_flow_id, make_flow_id, partition_of

moments_ms = st.integers(0, 2**48 - 1)
partitions = st.integers(0, MAX_PARTITIONS - 1)
random_bits = st.integers(0, 2**62 - 1)


def test_the_layout_is_time_version_partition_variant_and_random_bits() -> None:
    assert make_flow_id(0x018F3C5E7A10, 0xABC, 0) == "018f3c5e-7a10-7abc-8000-000000000000"
    assert make_flow_id(0, 0, 2**62 - 1) == "00000000-0000-7000-bfff-ffffffffffff"


@given(moments_ms, partitions, random_bits)
def test_a_flow_id_is_a_uuid_of_version_7(now_ms: int, partition: int, bits: int) -> None:
    parsed = uuid.UUID(make_flow_id(now_ms, partition, bits))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


@given(moments_ms, partitions, random_bits)
def test_the_partition_and_the_moment_can_be_read_back(now_ms: int, partition: int, bits: int) -> None:
    flow_id = make_flow_id(now_ms, partition, bits)
    assert is_flow_id(flow_id)
    assert partition_of(flow_id) == partition
    assert created_ms(flow_id) == now_ms


@given(st.tuples(moments_ms, partitions, random_bits), st.tuples(moments_ms, partitions, random_bits))
def test_ids_are_equal_only_when_everything_in_them_is(
    one: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    assert (make_flow_id(*one) == make_flow_id(*other)) == (one == other)


@given(moments_ms, moments_ms, partitions, random_bits, random_bits)
def test_ids_sort_by_the_moment_they_were_made(
    early: int, late: int, partition: int, bits: int, other_bits: int
) -> None:
    if early < late:
        assert make_flow_id(early, partition, bits) < make_flow_id(late, partition, other_bits)


@given(st.integers(2**62, 2**80))
def test_random_bits_beyond_62_never_reach_the_variant(bits: int) -> None:
    assert is_flow_id(make_flow_id(0, 0, bits))


@pytest.mark.parametrize("partition", [-1, MAX_PARTITIONS])
def test_a_partition_that_does_not_fit_is_refused(partition: int) -> None:
    with pytest.raises(ValueError, match=rf"partition {partition} is outside 0\.\.4095"):
        make_flow_id(0, partition, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "018f3c5e-7a10-7abc-8000-00000000000",
        "018f3c5e-7a10-7abc-8000-0000000000000",
        "018F3C5E-7A10-7ABC-8000-000000000000",
        "018f3c5e-7a10-4abc-8000-000000000000",
        "018f3c5e-7a10-7abc-c000-000000000000",
        "018f3c5e7a107abc8000000000000000",
        "018f3c5e-7a10-7abc-8000-000000000000\n",
        "{18f3c5e-7a10-7abc-8000-000000000000",
    ],
)
def test_what_is_not_written_as_an_id_is_not_one(text: str) -> None:
    assert not is_flow_id(text)
