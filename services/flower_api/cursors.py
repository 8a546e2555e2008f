"""Cursors: where a list goes on, as a text that a client hands back."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec

from flower_api.problems import ProblemError
from flower_api.request_times import wrong

Place = TypeVar("Place", bound=msgspec.Struct)


def cursor_of(place: msgspec.Struct) -> str:
    """The cursor that leads back to this place."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(cursor: str, kind: type[Place]) -> Place:
    """The place that a cursor leads to. What its fields hold is for the caller to judge.

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
