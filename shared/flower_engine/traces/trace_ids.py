"""Ids of traces and spans, computed and never exchanged: a worker, the exporter and a second exporter after a
crash come to the same ones. What a worker imports of traces is this file alone.
"""

import re
from hashlib import blake2b

_UUID_LETTERS = re.compile(r"[0-9a-f]{32}")


def trace_id(flow: str) -> bytes:
    """The 16 bytes of the trace of a flow: those of its id, which is a UUID. (Of what is none: a hash.)"""
    letters = flow.replace("-", "")
    if _UUID_LETTERS.fullmatch(letters):
        return bytes.fromhex(letters)
    return blake2b(flow.encode(), digest_size=16).digest()


def span_id(flow: str, task: int, number: int, kind: str) -> bytes:
    """The 8 bytes of a span's id. ``number``: an attempt, or the version of the flow's event that ended a
    wait or opened an ended flow again; 0, with task 0, for the flow itself. ``kind`` tells apart what has the
    same numbers.
    """
    found = blake2b(f"{flow} {task} {number} {kind}".encode(), digest_size=8).digest()
    return found if any(found) else b"\0\0\0\0\0\0\0\1"  # an id of zeros is none


def flow_span_id(flow: str) -> bytes:
    """The id of the flow's root span."""
    return span_id(flow, 0, 0, "flow")


def attempt_span_id(flow: str, task: int, attempt: int) -> bytes:
    """The id of an attempt's span, the parent of what the program itself traces."""
    return span_id(flow, task, attempt, "attempt")
