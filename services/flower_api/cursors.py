"""Cursors: where a list goes on, as a text that a client hands back."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec

from flower_api.problems import ProblemError
from flower_api.request_times import wrong

Cursor = TypeVar("Cursor", bound=msgspec.Struct)


def cursor_of(where: msgspec.Struct) -> str:
    """The cursor that leads back to where a list went."""
    return urlsafe_b64encode(msgspec.json.encode(where)).decode().rstrip("=")


def read_cursor(cursor: str, kind: type[Cursor]) -> Cursor:
    """Where a cursor leads to. What its fields hold is for the caller to judge.

    Raises:
        ProblemError: no page gave such a cursor.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(urlsafe_b64decode(padded), type=kind)
    except (ValueError, RecursionError):  # no base64, no JSON, not this kind's, nested without end
        raise no_cursor() from None


def no_cursor() -> ProblemError:
    """A 422 about the cursor."""
    return wrong("cursor", "this is not a cursor that a page gave as its `next`")
