"""``traceparent``, as W3C Trace Context has it: in which trace, for which span, somebody registers a flow."""

import re
from typing import NamedTuple

TRACEPARENT_PATTERN = r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$"
NO_TRACEPARENT_PATTERN = r"^(ff|00-.{53}.|[0-9a-f]{2}-0{32}|[0-9a-f]{2}-[0-9a-f]{32}-0{16})"
"""For schemas: what matches the first and not the second is one."""

MOST_TRACEPARENT = 512
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Traceparent(NamedTuple):
    """The caller's span: its trace, itself, and its flags."""

    trace_id: bytes
    span_id: bytes
    flags: int


def read_traceparent(text: str) -> Traceparent | None:
    """What the text says; None: it is no ``traceparent``.

    One of a later version than 00 may go on behind its flags, and is read as far as it is known.
    """
    found = _FORM.fullmatch(text) if len(text) <= MOST_TRACEPARENT else None
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not trace.strip("0") or not span.strip("0"):
        return None
    return Traceparent(bytes.fromhex(trace), bytes.fromhex(span), int(flags, 16))


def settled_traceparent(text: str) -> str | None:
    """The text as events carry it, in the form of version 00; None: it is no ``traceparent``."""
    found = read_traceparent(text)
    if found is None:
        return None
    return f"00-{found.trace_id.hex()}-{found.span_id.hex()}-{found.flags:02x}"
