"""What follows from a schedule's uid and a slot alone: the flow's id, its partition, its jitter.

Whoever works them out, however often, comes to the same: a slot cannot have two flows.
"""

from hashlib import blake2b
from zlib import crc32

from flower_engine.model.values.ids import make_flow_id
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slots import next_slot


def partition_of_schedule(uid: str, partitions: int) -> int:
    """The partition that a schedule and its flows live in."""
    return crc32(uid.encode()) % partitions


def slot_flow_id(uid: str, slot_ms: int, partition: int) -> str:
    """The id of the flow of a slot; it says when that was (``created_ms``)."""
    return make_flow_id(slot_ms, partition, _hashed(f"flow {uid} {slot_ms}"))


def jitter_ms(uid: str, slot_ms: int, jitter_seconds: float, gap_ms: int | None = None) -> int:
    """How much later than its slot a flow begins: 0 <= jitter < ``jitter_seconds``.

    It is spread evenly, and always the same for a slot. ``gap_ms`` is how far the schedule's next slot is
    (None: there is none); the jitter is less than that, too, so that slots stay in order, however large
    ``jitter_seconds`` is.
    """
    longest = round(jitter_seconds * 1000)
    if gap_ms is not None:
        longest = min(longest, gap_ms)
    return (_hashed(f"jitter {uid} {slot_ms}") * longest) >> 62


def due_of(schedule: Schedule, slot_ms: int) -> int:
    """When the flow of a slot should begin: the slot and its jitter."""
    if not schedule.jitter_seconds:
        return slot_ms
    following = next_slot(schedule, slot_ms)
    gap = None if following is None else following - slot_ms
    return slot_ms + jitter_ms(schedule.uid, slot_ms, schedule.jitter_seconds, gap)


def _hashed(text: str) -> int:
    """62 bits."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) >> 2
