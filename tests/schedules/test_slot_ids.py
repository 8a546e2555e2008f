"""What follows from a schedule and a slot alone: flow ids, partitions, jitter that keeps the order."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.values.ids import created_ms, is_flow_id, partition_of
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slot_ids import due_of, jitter_ms, partition_of_schedule, slot_flow_id
from flower_engine.schedules.slots import slots_after

BEGIN = 1_767_225_600_000
UID = "5f0e1a9c-8f5b-4d55-9c1c-2b1f6d0d2a11"
TIMES = st.integers(0, 250_246_627_200_000)


@given(TIMES, st.integers(0, 4095))
def test_a_slot_has_one_flow_id_that_says_when_and_where(slot: int, partition: int) -> None:
    flow = slot_flow_id(UID, slot, partition)
    assert is_flow_id(flow)
    assert (created_ms(flow), partition_of(flow)) == (slot, partition)
    assert flow == slot_flow_id(UID, slot, partition)
    assert flow not in (slot_flow_id(UID, slot + 1, partition), slot_flow_id(f"{UID}0", slot, partition))


def test_ids_and_jitter_are_the_same_for_ever() -> None:
    assert slot_flow_id(UID, BEGIN, 5) == "019b76da-a800-7005-a933-90a228094c29"
    assert jitter_ms(UID, BEGIN, 60) == 47364
    assert partition_of_schedule(UID, 4) == 0


def test_schedules_are_spread_over_partitions() -> None:
    counts = [0] * 4
    for number in range(1_000):
        counts[partition_of_schedule(f"{number}", 4)] += 1
    assert min(counts) > 200


@given(st.text(max_size=40), TIMES, st.floats(0, 1e6), st.none() | st.integers(1, 10**9))
def test_jitter_is_within_its_bounds(uid: str, slot: int, seconds: float, gap: int | None) -> None:
    found = jitter_ms(uid, slot, seconds, gap)
    longest = min(round(seconds * 1000), gap if gap is not None else 10**12)
    assert 0 <= found < max(longest, 1)


def test_jitter_is_spread_evenly() -> None:
    found = sorted(jitter_ms(UID, slot, 60) for slot in range(BEGIN, BEGIN + 1_000))
    assert found[0] < 1_000 and found[-1] > 59_000
    assert 25_000 < found[500] < 35_000


def test_no_jitter_changes_the_order_of_slots() -> None:
    fields: list[dict[str, Any]] = [
        {"every_seconds": 1},
        {"cron": "0,1,30 * * * *"},
        {"cron": "*/7 1,2 * * * *"},
    ]
    for when in fields:
        some = Schedule(name="s", uid=UID, task_id="w", jitter_seconds=86_400, **when)
        slots = slots_after(some, BEGIN, BEGIN + 10**12, 300)
        dues = [due_of(some, slot) for slot in slots]
        assert all(due >= slot for slot, due in zip(slots, dues, strict=True))
        assert all(due < slot for due, slot in zip(dues, slots[1:], strict=False))
        assert all(one < other for one, other in pairwise(dues))
