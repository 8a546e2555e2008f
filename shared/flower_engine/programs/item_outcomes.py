"""What became of the items of a map, as a program takes it."""

from typing import Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")


class Outcome(msgspec.Struct, Generic[T], frozen=True, omit_defaults=True):
    """What became of one item of a map; see :func:`~flower_engine.outcomes`.

    ``index``: which element of the list it was given; ``key``: its key, where the map says keys.
    ``status``: ``ignored`` where somebody passed over it and gave no result instead, ``given_up`` where it
    failed for good and the map tolerates that. ``result``: what it returned, or what somebody gave instead;
    ``error``: why it was given up, its type and first line.
    """

    index: int
    status: Literal["finished", "ignored", "given_up"]
    key: str = ""
    result: T | None = None
    error: str = ""
