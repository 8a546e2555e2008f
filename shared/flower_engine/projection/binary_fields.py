"""Values in Postgres' binary format, as COPY and array parameters want them.

A field is the length of a value (four bytes) and the value; both formats are made of fields. Written by hand
because an adapter call for each value costs more than everything else that projecting an event does.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

from flower_engine.projection.database import Packed

NULL = b"\xff\xff\xff\xff"
COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TAIL = b"\xff\xff"

_POSTGRES_EPOCH_MS = 946_684_800_000  # 2000-01-01
_length = struct.Struct(">i").pack
_integer = struct.Struct(">ii").pack
_bigint = struct.Struct(">iq").pack
_array_head = struct.Struct(">iiIii").pack

# Object ids of the built-in types, which never change.
TEXT, VARCHAR, NUMERIC, JSON, JSONB = 25, 1043, 1700, 114, 3802
INTEGER, BIGINT, TIMESTAMPTZ, BOOLEAN = 23, 20, 1184, 16


def row_head(columns: int) -> bytes:
    """What stands before the fields of a row in COPY."""
    return struct.pack(">h", columns)


def joined_copies(copies: Sequence[bytes]) -> bytes:
    """The data of several COPY of the same columns as that of one."""
    if len(copies) == 1:
        return copies[0]
    rows = (one[len(COPY_HEAD) : -len(COPY_TAIL)] for one in copies)
    return b"".join((COPY_HEAD, *rows, COPY_TAIL))


def text(value: str) -> bytes:
    """``text`` and ``varchar``."""
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def json(raw: bytes) -> bytes:
    """``json``, and ``bytea``: the bytes themselves."""
    return _length(len(raw)) + raw


def jsonb(raw: bytes) -> bytes:
    """``jsonb``: a version and the JSON text."""
    return _length(len(raw) + 1) + b"\x01" + raw


@lru_cache(4096)
def integer(value: int) -> bytes:
    """``integer``; struct.error beyond 32 bits."""
    return _integer(4, value)


def boolean(value: bool) -> bytes:  # as a definition has it
    """``boolean``."""
    return _length(1) + (b"\x01" if value else b"\x00")


def bigint(value: int) -> bytes:
    """``bigint``; struct.error beyond 64 bits."""
    return _bigint(8, value)


@lru_cache(4096)
def numeric(value: int) -> bytes:
    """``numeric``, for whole numbers: sign and digits to the base of 10,000."""
    digits: list[int] = []
    rest = abs(value)
    while rest:
        rest, digit = divmod(rest, 10_000)
        digits.append(digit)
    weight = max(len(digits) - 1, 0)
    sign = 0x4000 if value < 0 else 0
    body = struct.pack(f">HhHH{len(digits)}H", len(digits), weight, sign, 0, *reversed(digits))
    return _length(len(body)) + body


@lru_cache(4096)
def timestamptz(ms: int) -> bytes:
    """``timestamptz``, from milliseconds since the Unix epoch."""
    return _bigint(8, (ms - _POSTGRES_EPOCH_MS) * 1000)


@lru_cache(1024)
def short_text(value: str) -> bytes:
    """``text`` of values that come again and again."""
    return text(value)


def array(element_type: int, fields: Sequence[bytes]) -> Packed:
    """A parameter that is an array of these fields, in one dimension."""
    if not fields:
        return Packed(_array_head(0, 0, element_type, 0, 0)[:12])
    return Packed(_array_head(1, 1, element_type, len(fields), 1) + b"".join(fields))


def array_field(element_type: int, fields: Sequence[bytes]) -> bytes:
    """The same as a field."""
    return json(array(element_type, fields).data)
