"""Flow ids: UUIDv7 (RFC 9562) whose twelve ``rand_a`` bits hold the partition.

``018f3c5e-7a10-7PPP-bxxx-xxxxxxxxxxxx``: 48 bits of milliseconds, version 7, the partition as three
hexadecimal digits, variant, 62 random bits. So the partition is read off the id, by people too.
"""

import re

MAX_PARTITIONS = 4096
_RANDOM_BITS = 62
_FLOW_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def make_flow_id(now_ms: int, partition: int, random_bits: int) -> str:
    """A flow id for a moment, a partition (0..4095) and 62 random bits."""
    if not 0 <= partition < MAX_PARTITIONS:
        raise ValueError(f"partition {partition} is outside 0..{MAX_PARTITIONS - 1}")
    tail = f"{(0b10 << _RANDOM_BITS) | (random_bits & ((1 << _RANDOM_BITS) - 1)):016x}"
    head = f"{now_ms & 0xFFFFFFFFFFFF:012x}"
    return f"{head[:8]}-{head[8:]}-7{partition:03x}-{tail[:4]}-{tail[4:]}"


def is_flow_id(text: str) -> bool:
    """Whether the text is a flow id as :func:`make_flow_id` writes it (lower case)."""
    return _FLOW_ID.fullmatch(text) is not None


def partition_of(flow_id: str) -> int:
    """The partition that a flow lives in."""
    return int(flow_id[15:18], 16)


def created_ms(flow_id: str) -> int:
    """The millisecond in which the id was made, by the clock of whoever made it."""
    return int(flow_id[:8] + flow_id[9:13], 16)
